"""Track running runs in a workspace, and find those that are dead: killed, or on a machine that went down.

From its first write until its row is in `runs`, a run keeps a small object in `under_way/` and writes it again
every BEAT_SECONDS. On its own machine, the operating system knows whether its process is alive. From another
machine, a run counts as dead if its object has not been written for DEAD_SECONDS, by the storage's clock.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, TypeAdapter

from skinml.errors import RunError, SkinmlError, StorageError
from skinml.layout import under_way_files_url, under_way_url
from skinml.process.identity import is_alive_here, is_on_this_machine, this_process
from skinml.records.runs import Run
from skinml.storage.head import Seen, head_objects
from skinml.storage.objects import names, read_bytes, write_bytes
from skinml.storage.redaction import redacted
from skinml.storage.removal import delete, delete_folder
from skinml.storage.urls import as_uri
from skinml.strict_json import parse_json

logger = logging.getLogger("skinml.runs")

BEAT_SECONDS = 30.0
DEAD_SECONDS = 900.0
"""15 minutes: a run may wait three minutes for storage, and one that lost the network for ten may continue."""

MOST_BYTES = 2**20
"""The largest record that is read; ours have half a kilobyte. Anybody who can write to the workspace can make
one."""

Moment = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))
]


RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


@dataclass(frozen=True)
class _Record:
    """The content of a run's object: the run and its process."""

    run_id: str
    flow: str
    started_at: Moment
    parameters: dict[str, Any]
    host: str
    system: str
    pid: Annotated[int, Field(gt=0, lt=2**31)]
    process_started: float

    @property
    def run(self) -> Run:
        """The run."""
        return Run(self.run_id, self.flow, self.started_at, self.parameters)


_JSON = TypeAdapter(_Record)


@dataclass(frozen=True)
class DeadRun:
    """A run that died without writing its row: when its object was last written, and where it ran."""

    run: Run
    last_sign: datetime
    where: str


@dataclass(frozen=True)
class UnderWay:
    """A run that has a record: when its record was last written, where it runs, and whether it is alive."""

    run: Run
    last_sign: datetime
    where: str
    alive: bool


@contextmanager
def kept_under_way(workspace: str, run: Run) -> Iterator[None]:
    """Write the run's record now and every BEAT_SECONDS until the block ends. `forget` removes it.

    Raises:
        StorageError: the first record could not be written.
    """
    url = under_way_url(workspace, run.run_id)
    content = json.dumps({**_as_json(run), **this_process()}).encode()
    write_bytes(url, content)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            try:
                write_bytes(url, content)
            except Exception as error:  # storage failed; the run itself handles that when it writes
                logger.debug("could not write %s: %s", url, error)

    thread = threading.Thread(target=beat, name="under-way", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(BEAT_SECONDS)


def forget(workspace: str, run_ids: Sequence[str]) -> None:
    """Delete the records of runs whose rows are in `runs`."""
    delete(under_way_url(workspace, run_id) for run_id in run_ids)


def forget_files(workspace: str, run_ids: Sequence[str]) -> None:
    """Remove what jobs of these runs have handed to each other. What cannot be removed is said, and stays."""
    for run_id in run_ids:
        if not RUN_ID.fullmatch(run_id):  # the name of somebody's file: ".." would be the workspace
            continue
        url = under_way_files_url(workspace, run_id)
        try:
            delete_folder(url)
        except SkinmlError as error:
            logger.warning("%s could not be removed, nobody needs it any more: %s", url, error)


def is_known(workspace: str, run_id: str) -> bool:
    """Whether a run's record still exists; a run that takes it for dead deletes it."""
    return f"{run_id}.json" in names(under_way_url(workspace))


def check_seen(workspace: str, run_id: str) -> None:
    """Raise RunError if this process does not see the workspace, for example a worker with another disk."""
    if not is_known(workspace, run_id):
        raise RunError(
            f"does not see the workspace {workspace}: the record of run {run_id} is missing there; mount the "
            "same folder, or use a bucket"
        )


def find_dead(workspace: str, ours: str) -> list[DeadRun]:
    """Return the dead runs, the oldest first; never one that is alive but slow.

    Args:
        workspace: normalised URL.
        ours: run_id of a run whose record was just written; its time is the storage's current time.
    """
    others = [name.removesuffix(".json") for name in names(under_way_url(workspace)) if name.endswith(".json")]
    others = [run_id for run_id in others if run_id != ours]
    if not others:
        return []
    [first] = head_objects([as_uri(under_way_url(workspace, ours))])
    found = _examine(workspace, others, _moment(first) or datetime.now(UTC))
    return [DeadRun(one.run, one.last_sign, one.where) for one in found if not one.alive]


def find_under_way(workspace: str, now: datetime) -> list[UnderWay]:
    """Return all runs that have a record, dead or alive, the oldest first. Reads only.

    Args:
        workspace: normalised URL.
        now: by the clock of the storage, or of this machine if that cannot be asked.
    """
    records = [name.removesuffix(".json") for name in names(under_way_url(workspace)) if name.endswith(".json")]
    return _examine(workspace, records, now)


def _examine(workspace: str, run_ids: Sequence[str], now: datetime) -> list[UnderWay]:
    found = []
    seen = head_objects([as_uri(under_way_url(workspace, run_id)) for run_id in run_ids])
    for run_id, answer in zip(run_ids, seen, strict=True):
        if not isinstance(answer, Seen):  # the run has just ended, or storage did not answer
            continue
        record = _read(workspace, run_id, answer.size_bytes)
        if record is not None:
            alive = _is_alive(record, now - answer.last_modified)
            where = f"{record.host}, process {record.pid}"
            found.append(UnderWay(record.run, answer.last_modified, where, alive))
    return sorted(found, key=lambda one: one.run.started_at)


def _is_alive(record: _Record, silent: timedelta) -> bool:
    if not is_on_this_machine(record.host, record.system):
        return silent < timedelta(seconds=DEAD_SECONDS)
    return is_alive_here(record.pid, record.process_started)


def _as_json(run: Run) -> dict[str, Any]:
    parameters = json.loads(redacted(json.dumps(run.parameters, default=str)))
    started_at = run.started_at.isoformat()
    return {"run_id": run.run_id, "flow": run.flow, "started_at": started_at, "parameters": parameters}


def _read(workspace: str, run_id: str, size_bytes: int) -> _Record | None:
    """Read a record; None if it does not exist any more, or if it cannot be parsed, which is logged."""
    url = under_way_url(workspace, run_id)
    try:
        if size_bytes > MOST_BYTES:
            raise ValueError(f"it has {size_bytes} bytes")
        record = parse_json(_JSON, read_bytes(url))
        if record.run_id != run_id:  # otherwise we would write a row and delete a file of that run_id
            raise ValueError(f"its run_id is {record.run_id!r}")
    except StorageError:
        return None
    except ValueError as error:
        logger.warning("%s is ignored: it is not the record of a run (%s)", url, error)
        return None
    return record


def _moment(answer: Seen | Exception) -> datetime | None:
    return answer.last_modified if isinstance(answer, Seen) else None
