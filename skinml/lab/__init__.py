"""Synthetic archives and crash drills for the demo, tests and operators; no other package imports them."""
