"""The score benchmark: JPEGs to a table of probabilities, by skinml and by other libraries."""
