"""Stages of an export: find the run, check the target, write the file."""

from __future__ import annotations

import logging
from typing import Any

from skinml import DISCLAIMER
from skinml.records import export as files
from skinml.records.history import find_run
from tasks import artifacts
from tasks.stage import stage

logger = logging.getLogger("skinml.export")


@stage("check the file", "check {out}")
def check_target(out: str) -> str:
    """Return the file's normalised URL, if it can be written and does not exist yet."""
    return files.check_target(out)


@stage("find the run", "find {run_id}")
def find_scored(workspace: str, run_id: str) -> dict[str, Any]:
    """Return the run's row, if it is a run that scores."""
    return find_run(workspace, run_id, files.FLOWS)


@stage("write the file", "write {target}")
def write_file(workspace: str, run: dict[str, Any], target: str) -> int:
    """Write the run's scores and return the number of rows."""
    rows = files.export_scores(workspace, run, target)
    logger.info("wrote %d rows to %s. %s", rows, target, DISCLAIMER)
    artifacts.show_places("export-file", f"The scores of {run['run_id']}", {"scores": target})
    return rows
