"""Tests against real services: object storage, a Dask scheduler, a Prefect server and its worker."""
