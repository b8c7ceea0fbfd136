"""One program a peer: an archive and a model in, probabilities out, as a competent user would write it."""
