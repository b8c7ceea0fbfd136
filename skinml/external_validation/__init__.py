"""Measure a model on other images than its own, and past scores by diagnoses that arrive later."""
