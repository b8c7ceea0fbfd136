"""Tests: unit mirrors skinml, flows run whole, services use real S3, Dask and Prefect, browser looks at the UI."""
