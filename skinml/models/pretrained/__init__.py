"""Pre-trained weights: where they come from, the forms of their files, and how a network gets them."""
