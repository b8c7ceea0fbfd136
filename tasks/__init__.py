"""Prefect tasks: names, retries, timeouts, artifacts. They adapt what skinml computes; no arithmetic here."""

import skinml  # noqa: F401 - before Prefect, which reports its import unless it is told not to

DISTRIBUTION = "skinml"
"""Whose package this is, as in flows/__init__.py."""
