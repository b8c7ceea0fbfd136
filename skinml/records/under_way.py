"""Which runs are under way in a workspace, and which of those are dead: killed, or their machine went down.

A run keeps a small object in `under_way/` from its first write until its row stands in `runs`, and writes it
again every BEAT_SECONDS. On a run's own machine the system knows whether its process is alive. On another
machine it is dead once its object was not written for DEAD_SECONDS, by the storage's own clock.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, Field, TypeAdapter

from skinml.errors import RunError, SkinmlError, StorageError
from skinml.layout import under_way_files_url, under_way_url
from skinml.records.runs import Run
from skinml.storage.head import Seen, head_objects
from skinml.storage.objects import names, read_bytes, write_bytes
from skinml.storage.redaction import redacted
from skinml.storage.removal import delete, delete_folder
from skinml.storage.urls import as_uri
from skinml.strict_json import parse_json

if TYPE_CHECKING:
    import psutil

logger = logging.getLogger("skinml.runs")

BEAT_SECONDS = 30.0
DEAD_SECONDS = 900.0
"""15 minutes: a run waits up to three minutes for storage at a time, and a machine that was cut off from the
network for ten may go on."""

MOST_BYTES = 2**20
"""A record has half a kilobyte. It is no more than text that whoever may write to the workspace has written."""

Moment = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))
]


RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


@dataclass(frozen=True)
class _Record:
    """What a run's object says: the run, and the process that it is."""

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
    """A run that ended without a word, when it gave its last sign of life, and where it ran."""

    run: Run
    last_sign: datetime
    where: str


@contextmanager
def kept_under_way(workspace: str, run: Run) -> Iterator[None]:
    """Write the run's record, and again every BEAT_SECONDS until the block ends. It stays: see `forget`.

    Raises:
        StorageError: the first record could not be written.
    """
    url = under_way_url(workspace, run.run_id)
    content = json.dumps({**_as_json(run), **_this_process()}).encode()
    write_bytes(url, content)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            try:
                write_bytes(url, content)
            except Exception as error:  # storage is away: what the run itself does about that is what counts
                logger.debug("no sign of life in %s: %s", url, error)

    thread = threading.Thread(target=beat, name="under-way", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(BEAT_SECONDS)


def forget(workspace: str, run_ids: Sequence[str]) -> None:
    """Remove the records of runs whose rows stand in `runs`."""
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
    """Whether a run's record is still there: another run that believed it dead has removed it otherwise."""
    return f"{run_id}.json" in names(under_way_url(workspace))


def check_seen(workspace: str, run_id: str) -> None:
    """Raise RunError where this process does not see the workspace: a worker whose disk is another one."""
    if not is_known(workspace, run_id):
        raise RunError(f"does not see the workspace {workspace}: the record of run {run_id} is not in it")


def find_dead(workspace: str, ours: str) -> list[DeadRun]:
    """The runs that are dead, the oldest first; never one that is alive and only slow.

    Args:
        workspace: normalised URL.
        ours: run_id of a run whose record was written a moment ago, which says what time it is.
    """
    others = [name.removesuffix(".json") for name in names(under_way_url(workspace)) if name.endswith(".json")]
    others = [run_id for run_id in others if run_id != ours]
    if not others:
        return []
    seen = head_objects([as_uri(under_way_url(workspace, run_id)) for run_id in [ours, *others]])
    now = _moment(next(seen)) or datetime.now(UTC)
    found = []
    for run_id, answer in zip(others, seen, strict=True):
        if not isinstance(answer, Seen):  # it has just ended, or storage does not say
            continue
        record = _read(workspace, run_id, answer.size_bytes)
        if record is not None and not _is_alive(record, now - answer.last_modified):
            where = f"{record.host}, process {record.pid}"
            found.append(DeadRun(record.run, answer.last_modified, where))
    return sorted(found, key=lambda dead: dead.run.started_at)


def _is_alive(record: _Record, silent: timedelta) -> bool:
    import psutil

    here = _this_process()
    if (record.host, record.system) != (here["host"], here["system"]):
        return silent < timedelta(seconds=DEAD_SECONDS)
    try:
        process = psutil.Process(record.pid)
        # Numbers are given again: it is the same process only if it has started at the same time.
        same: bool = abs(_started(process) - record.process_started) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # it is there, and another user's
        return True


def _this_process() -> dict[str, Any]:
    """What tells this process from all others: its machine, since when that runs, and its number there."""
    import psutil

    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "system": _system(),
        "pid": process.pid,
        "process_started": _started(process),
    }


def _started(process: psutil.Process) -> float:
    """When a process has started: the same number in every process that asks, also once the clock was set."""
    import psutil

    # Linux counts from the start of the machine, and psutil adds when that was by the clock of now.
    return float(process.create_time() - (psutil.boot_time() if psutil.LINUX else 0.0))


def _system() -> str:
    """Within which process numbers mean the same: one start of one machine, and in Linux one namespace."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if boot.exists() and namespace.is_symlink():
        return f"{boot.read_text().strip()} {namespace.readlink()}"
    import psutil

    return f"{psutil.boot_time():.0f}"


def _as_json(run: Run) -> dict[str, Any]:
    parameters = json.loads(redacted(json.dumps(run.parameters, default=str)))
    started_at = run.started_at.isoformat()
    return {"run_id": run.run_id, "flow": run.flow, "started_at": started_at, "parameters": parameters}


def _read(workspace: str, run_id: str, size_bytes: int) -> _Record | None:
    """The record; None where it is gone by now, or cannot be understood, which is said."""
    url = under_way_url(workspace, run_id)
    try:
        if size_bytes > MOST_BYTES:
            raise ValueError(f"it has {size_bytes} bytes")
        record = parse_json(_JSON, read_bytes(url))
        if record.run_id != run_id:  # a row would be written, and a file be deleted, under that name
            raise ValueError(f"it says run_id {record.run_id!r}")
    except StorageError:
        return None
    except ValueError as error:
        logger.warning("%s is not the record of a run (%s): left alone", url, error)
        return None
    return record


def _moment(answer: Seen | Exception) -> datetime | None:
    return answer.last_modified if isinstance(answer, Seen) else None
