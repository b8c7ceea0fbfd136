"""Tests: unit mirrors skinml, flows run whole, services are real S3, Dask and Prefect, browser sees the UI."""
