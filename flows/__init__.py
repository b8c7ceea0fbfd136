"""Prefect flows: each reads from top to bottom like the description of its job."""
