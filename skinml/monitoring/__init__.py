"""Monitor drift: the drift reference of a model, the health of a run, and flags of single images."""
