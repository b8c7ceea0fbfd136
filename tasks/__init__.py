"""Prefect tasks: names, retries, timeouts and artifacts around functions of skinml; no arithmetic."""

import skinml  # noqa: F401 - before Prefect: it switches off the telemetry of Prefect's import

DISTRIBUTION = "skinml"
"""Whose package this is, as in flows/__init__.py."""
