"""Benchmarks: the same jobs by skinml and by what else people use, side by side in one run."""
