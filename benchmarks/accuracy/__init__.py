"""The accuracy benchmark: how much accuracy scaled decoding costs a classifier."""
