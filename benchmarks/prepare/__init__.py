"""The prepare benchmark: JPEGs to pixels on disk, by skinml and by what else people use."""
