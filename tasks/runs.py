"""Every run of a flow leaves one row in `runs`, also the one that fails; a refused request leaves nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from skinml import tables
from skinml.crash_points import crash_point
from skinml.errors import RequestError
from skinml.runs import Counts, Run, run_row
from tasks.stage import stage

logger = logging.getLogger("skinml.runs")


@dataclass
class RunRecord:
    """What is known of a run while it goes on; the flow fills it in, `recorded` writes it down."""

    run: Run
    counts: Counts = field(default_factory=Counts)
    model_version: str | None = None
    more: dict[str, str | None] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)


@contextmanager
def recorded(workspace: str, run: Run) -> Iterator[RunRecord]:
    """Write the run's row when it ends, however it ends."""
    record = RunRecord(run)
    logger.info("run %s", run.run_id)
    crash_point(1)
    try:
        yield record
    except RequestError:
        raise  # nothing was written, and nothing is
    except BaseException as error:
        try:
            write_run(workspace, record, "failed", f"{type(error).__name__}: {error}"[:1000])
        except Exception as second:  # the error that matters is the first one
            logger.error("the failed run %s could not be written to runs: %s", run.run_id, second)
        raise
    write_run(workspace, record, "completed", None)
    crash_point(10)


@stage("record the run", "record the run: {status}", tags=("storage",))
def write_run(workspace: str, record: RunRecord, status: str, error: str | None) -> None:
    """Append the run's row, once."""
    row = run_row(record.run, status, record.counts, record.model_version, error, **record.more)
    tables.append(workspace, "runs", row, record.run.run_id)
    record.row = row.to_pylist()[0]
