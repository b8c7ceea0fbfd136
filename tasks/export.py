"""Stages of an export: check the target and the choice, find the run, write the file."""

from __future__ import annotations

import logging
from typing import Any

from skinml import DISCLAIMER
from skinml.monitoring.health import DRIFTED
from skinml.records import export as files
from skinml.records.export_files import beside
from skinml.records.export_rows import Choice, check_choice
from skinml.records.history import find_run, latest_run, runs_since
from skinml.requests.tables import ExportRequest
from tasks import artifacts
from tasks.stage import stage

logger = logging.getLogger("skinml.export")


@stage("check the file", "check {out}")
def check_target(out: str) -> str:
    """Return the file's normalised URL, if it can be written and does not exist yet."""
    return files.check_target(out)


@stage("check the columns")
def check_columns(request: ExportRequest) -> Choice:
    """Return what is to be exported, if there are such columns."""
    choice = Choice(request.columns, request.sort, request.top)
    check_choice(choice)
    return choice


@stage("find the run")
def find_scored(workspace: str, run_id: str | None) -> dict[str, Any]:
    """Return the row of this scoring run; if None, of the latest that has scored something."""
    if run_id is not None:
        return find_run(workspace, run_id, files.FLOWS)
    run = latest_run(workspace, files.FLOWS)
    later = runs_since(workspace, run, files.FLOWS)
    runs = "1 later run has" if later == 1 else f"{later} later runs have"
    logger.info("--latest is run %s%s", run["run_id"], f"; {runs} scored nothing" if later else "")
    return run


@stage("write the file", "write {target}")
def write_file(workspace: str, run: dict[str, Any], target: str, choice: Choice, marked: bool) -> int:
    """Write the run's scores and return the number of rows."""
    with artifacts.progress("export-progress", "export", run["done"], "rows") as progress:
        rows = files.export_scores(workspace, run, target, choice, marked, progress.advance)
    logger.info("wrote %s to %s. %s", "1 row" if rows == 1 else f"{rows:,} rows", target, DISCLAIMER)
    if run["health"] == DRIFTED:
        logger.warning("run %s has drifted: do not trust its scores", run["run_id"])
    places = {"scores": target, "about them": beside(target) or ""}
    title = f"The scores of {run['run_id']}"
    artifacts.show_places("export-file", title, {what: url for what, url in places.items() if url})
    return rows
