"""The accuracy benchmark: what decoding scaled costs a classifier."""
