"""Fitting a model: protocols, pixels, the fit in a process of its own, and metrics."""
