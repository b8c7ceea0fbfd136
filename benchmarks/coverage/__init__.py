"""The coverage benchmark: how often a 95 % interval holds the true value of its figure."""
