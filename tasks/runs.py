"""Write one row in `runs` for every run, however it ended; a refused request leaves no row."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skinml.errors import RequestError, RunError
from skinml.process.crash_points import crash_point
from skinml.process.interrupts import Interrupted
from skinml.process.scratch import scratch_folder
from skinml.records import under_way
from skinml.records.kept_back import keep_back, write_kept_back
from skinml.records.rows import died, put_row
from skinml.records.runs import Counts, Run, as_record, as_table
from skinml.scoring.publish_scores import finish, unfinished_runs
from skinml.storage.urls import normalise
from tasks.stage import stage

logger = logging.getLogger("skinml.runs")

ROW_SECONDS = 5.0
"""How long a failed run waits for its row to be written. The row is already on local disk by then, and a
process that got a signal has only 9 s in all."""


@dataclass
class RunRecord:
    """The state of a run; the flow fills it in, `recorded` writes it at the end.

    Attributes:
        run: the run.
        workspace: normalised URL; as the user gave it until it is checked.
        scratch: folder for temporary files, deleted when the run ends.
        is_under_way: whether something may have been written; from then on the run leaves a row.
        counts, model_version, more: columns of its row.
        row: the row, once it is written.
        open: what is closed when the run ends.
        cluster: the part of `open` that is a cluster on other machines, if one was started for the run.
    """

    run: Run
    workspace: str
    scratch: Path
    is_under_way: bool = False
    counts: Counts = field(default_factory=Counts)
    model_version: str | None = None
    more: dict[str, Any] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)
    open: ExitStack = field(default_factory=ExitStack)
    cluster: ExitStack = field(default_factory=ExitStack)

    def ended(self, status: str, error: str | None) -> dict[str, Any]:
        """Return the run's row, if it ends now."""
        return as_record(self.run, status, self.counts, self.model_version, error, **self.more)


@contextmanager
def recorded(workspace: str, run: Run) -> Iterator[RunRecord]:
    """Write the run's row when the block ends: completed, failed, or ended by a signal.

    Args:
        workspace: folder or s3://bucket/prefix, as the user gave it.
        run: the run.

    Raises:
        RequestError: raised in the block before `begin_run`; nothing was written, and no row is.
        RunError: a RequestError after `begin_run`, such as a key that was revoked during the run.
    """
    logger.info("run %s", run.run_id)
    with scratch_folder(run.flow) as scratch:
        record = RunRecord(run, workspace, scratch)
        try:
            with record.open:
                yield record
        except RequestError as error:
            if not record.is_under_way:
                raise
            _leave_row(record, "failed", error)
            raise RunError(str(error)) from error
        except BaseException as error:
            _leave_row(record, "failed", error)
            raise
        try:
            write_run(record)
        except BaseException as error:
            _leave_row(record, "completed", error)
            raise
        crash_point(10)


@stage("begin the run")
def begin_run(record: RunRecord, workspace: str) -> None:
    """Record that this run has begun, and write the rows of runs that could not write their own."""
    record.workspace = workspace
    if not record.is_under_way:  # otherwise this is a retry of this stage
        record.open.enter_context(under_way.kept_under_way(workspace, record.run))
        record.is_under_way = True
    crash_point(1)
    write_kept_back(workspace)
    for follow_up in unfinished_runs(workspace):
        finish(workspace, follow_up, record.run.run_id)
    dead = under_way.find_dead(workspace, record.run.run_id)
    for row in [died(one, record.run.run_id) for one in dead]:
        if put_row(workspace, row):
            logger.warning("run %s %s", row["run_id"], row["error"])
    under_way.forget_files(workspace, [one.run.run_id for one in dead])
    under_way.forget(workspace, [one.run.run_id for one in dead])


@stage("record the run", "record the run: completed")
def write_run(record: RunRecord) -> None:
    """Write the run's row, once."""
    record.row = record.ended("completed", None)
    _write(record)
    record.row = as_table(record.row).to_pylist()[0]


def _write(record: RunRecord) -> None:
    """Write the run's row, then delete its record in `under_way/`."""
    run_id = record.run.run_id
    believed_dead = record.is_under_way and not under_way.is_known(record.workspace, run_id)
    put_row(record.workspace, record.row, corrected=believed_dead)
    under_way.forget(record.workspace, [run_id])


def _leave_row(record: RunRecord, status: str, error: BaseException) -> None:
    """Write the row of a run that is ending to local disk, then to the workspace if it answers soon."""
    record.row = record.row or record.ended(status, _said(error))
    written = threading.Event()
    try:
        record.workspace = normalise(record.workspace)
        kept = keep_back(record.workspace, record.row)
    except Exception as second:  # the error that matters is the first one
        logger.error("could not keep the row of run %s: %s", record.run.run_id, second)
        kept = None

    def write() -> None:
        try:
            _write(record)
        except Exception as second:
            logger.debug("the row of run %s: %s", record.run.run_id, second)
        else:
            written.set()

    writing = threading.Thread(target=write, name="last-row", daemon=True)
    writing.start()
    writing.join(ROW_SECONDS)
    if written.is_set():
        if kept is not None:
            kept.unlink(missing_ok=True)
    elif kept is not None:
        logger.error(
            "could not write the row of run %s to %s/runs; it is kept in %s, and the next run writes it",
            *(record.run.run_id, record.workspace, kept),
        )
    else:
        logger.error("could not write the row of run %s, neither to runs nor to local disk", record.run.run_id)


def _said(error: BaseException) -> str:
    """Return the error that ended a run. In a flow run, Prefect's own signal exception comes before ours."""
    number = getattr(error, "signal", None)
    if isinstance(error, Interrupted) or number is not None:
        return str(error if number is None else Interrupted(number))
    return f"{type(error).__name__}: {error}"[:1000]
