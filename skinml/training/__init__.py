"""Fit models: protocols, jobs, pixels, and the fit in a process of its own."""
