"""The prepare benchmark: JPEGs to pixels on disk, by skinml and by other libraries."""
