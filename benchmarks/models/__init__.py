"""The zoo compared: what each architecture reaches on held-out lesions, what it costs to train and to score."""
