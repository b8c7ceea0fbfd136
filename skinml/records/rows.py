"""Write rows of `runs`, once for each run, also for a run that died without writing its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.records.runs import Counts, as_record, as_table
from skinml.records.under_way import DeadRun

logger = logging.getLogger("skinml.runs")

DIED = "died without a word"
"""The start of the column `error` in a row that another run has written. Older tables contain it, so it
stays."""


def put_row(workspace: str, row: Mapping[str, Any], corrected: bool = False) -> bool:
    """Append a run's row, once for its run_id; return False if it already had one, which stays.

    Args:
        workspace: normalised URL.
        row: columns of RUNS.
        corrected: replace the row that another run wrote because it took this run for dead.
    """
    run_id = row["run_id"]
    if not tables.transactions(workspace, "runs", [run_id]):
        tables.append(workspace, "runs", as_table(row), run_id)
        return True
    if not corrected:
        return False

    def change(rows: pa.Table) -> pa.Table:
        return pa.concat_tables([rows.filter(pc.not_equal(rows["run_id"], run_id)), as_table(row)])

    tables.replace(workspace, "runs", change, f"{run_id}-corrected")
    logger.warning("another run had recorded run %s as dead; its row in runs is corrected", run_id)
    return True


def is_recorded_as_dead(workspace: str, run_id: str) -> bool:
    """Whether another run has recorded this run as dead."""
    if not tables.transactions(workspace, "runs", [run_id]):
        return False
    rows = tables.read(workspace, "runs")
    errors = rows.filter(pc.equal(rows["run_id"], run_id))["error"].to_pylist()
    return any(error is not None and error.startswith(DIED) for error in errors)


def died(dead: DeadRun, found_by: str) -> dict[str, Any]:
    """Return the row of a run that was killed. Its counts of images are not known."""
    error = (
        f"{DIED}: it was killed, or its machine went down ({dead.where}); "
        f"last sign of life {dead.last_sign:%Y-%m-%dT%H:%M:%SZ}; recorded by {found_by}"
    )
    seconds = (dead.last_sign - dead.run.started_at).total_seconds()
    row = as_record(dead.run, "failed", Counts(), error=error)
    return {**row, "finished_at": dead.last_sign, "seconds": max(0.0, seconds)}
