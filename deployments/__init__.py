"""The deployments: schedules, work pools, and what runs where."""

from pathlib import Path

PREFECT_FILE = Path(__file__).resolve().with_name("prefect.yaml")
"""The deployments that come with this installation, for `prefect deploy --prefect-file`."""

DISTRIBUTION = "skinml"
"""Whose package this is: skinml/__main__.py looks."""
