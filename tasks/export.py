"""Stages of an export: the run, the file's name, the rows."""

from __future__ import annotations

import logging
from typing import Any

from skinml import DISCLAIMER
from skinml.records import export as files
from skinml.records.history import find_run
from tasks import artifacts
from tasks.stage import stage

logger = logging.getLogger("skinml.export")


@stage("check the file", "check {out}", tags=("storage",))
def check_target(out: str) -> str:
    """The file's normalised URL, if it can be written and is not there yet."""
    return files.check_target(out)


@stage("find the run", "find {run_id}", tags=("storage",))
def find_scored(workspace: str, run_id: str) -> dict[str, Any]:
    """The run's row, if it is one that scored."""
    return find_run(workspace, run_id, files.FLOWS)


@stage("write the file", "write {target}", tags=("storage",))
def write_file(workspace: str, run: dict[str, Any], target: str) -> int:
    """Write the run's scores. How many there are."""
    rows = files.export_scores(workspace, run, target)
    logger.info("%d rows in %s. %s", rows, target, DISCLAIMER)
    artifacts.show_links("export-file", f"The scores of {run['run_id']}", {"scores": target})
    return rows
