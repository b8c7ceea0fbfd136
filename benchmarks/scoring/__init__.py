"""The score benchmark: what is compared, how it is checked, what is said of it. `benchmarks.score` runs it."""
