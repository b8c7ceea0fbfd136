"""Save a fit after each epoch in the workspace, and continue it after its process was killed.

A checkpoint lies under a key of everything that decides the fit's result, so the same request finds it again.
It is one file of arrays and one record with its hash, written in this order: a reader sees the old checkpoint
or the new one. There is no pickle in it.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from skinml.errors import SkinmlError
from skinml.layout import checkpoints_url
from skinml.models.manifest import Sha256
from skinml.storage.objects import exists, names, read_bytes, write_bytes
from skinml.storage.removal import delete, delete_folder
from skinml.strict_json import parse_json
from skinml.training.epochs import Course, Say
from skinml.training.jobs import FitJob
from skinml.training.learner import State

RECORD = "checkpoint.json"
FORMAT = 1
"""Part of the key: a later skinml that fits otherwise has another one."""

MOST_BYTES = 4 * 2**20
"""Of a record; 100 epochs take 12 kB."""

NOT_IN_KEY = ("workspace", "inputs", "results", "export")
"""Places of a run's files, and what is done after the fit. The hash of `inputs` is in the key."""

HASHED = ("soft_labels", "start")
"""What names files of a run by URL and SHA-256."""

KEPT = "kept-"


@dataclass(frozen=True)
class Record:
    """What is saved beside the arrays.

    Attributes:
        epoch: how many epochs are done.
        sha256: of the file of arrays.
        history, kept_epoch, stopped: of the course.
        backend: what Keras ran on.
        saved_at: when, in UTC.

    """

    epoch: Annotated[int, Field(ge=1)]
    sha256: Sha256
    history: dict[str, list[float]]
    kept_epoch: Annotated[int, Field(ge=1)]
    stopped: str
    backend: str
    saved_at: datetime


_RECORD = TypeAdapter(Record)


@dataclass(frozen=True, eq=False)
class Saved:
    """A checkpoint that was read: the course so far, the learner's state, and the backend that made it."""

    course: Course
    state: State
    backend: str


def key_of(job: FitJob) -> str:
    """The key of a job's content, 20 hexadecimal digits."""
    content = {name: value for name, value in asdict(job).items() if name not in NOT_IN_KEY}
    for name in HASHED:  # a file is known by its hash; each run has another place for it
        if content[name] is not None:
            content[name] = {field: value for field, value in content[name].items() if field != "url"}
    text = json.dumps({"format": FORMAT, **content}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def checkpoint_url(job: FitJob) -> str:
    """The folder of a job's checkpoint."""
    return checkpoints_url(job.workspace, key_of(job))


def saved_epochs(job: FitJob) -> int:
    """How many epochs of a job are saved; 0 if none is, or if the record cannot be read."""
    try:
        record = _read_record(checkpoint_url(job))
    except (SkinmlError, ValueError):
        return 0
    return 0 if record is None else record.epoch


def save(job: FitJob, course: Course, state: State, backend: str, say: Say) -> None:
    """Save an epoch in place of the one before; say so and go on if storage refuses, as on a full disk."""
    folder = checkpoint_url(job)
    name = f"epoch-{course.epochs:05d}.npz"
    arrays = dict(state)
    if course.kept is not None and course.kept_epoch != course.epochs:
        arrays |= {f"{KEPT}{number}": weights for number, weights in enumerate(course.kept)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # NumPy's stubs take the names for its own argument
    data = buffer.getvalue()
    record = Record(
        epoch=course.epochs,
        sha256=hashlib.sha256(data).hexdigest(),
        history=course.history,
        kept_epoch=course.kept_epoch,
        stopped=course.stopped,
        backend=backend,
        saved_at=datetime.now(UTC),
    )
    try:
        write_bytes(f"{folder}/{name}", data)
        write_bytes(f"{folder}/{RECORD}", _RECORD.dump_json(record))
        delete(f"{folder}/{old}" for old in names(folder) if old not in {name, RECORD})
    except SkinmlError as error:
        say(
            f"epoch {course.epochs} could not be saved, and the fit goes on: {error}. If it is killed, it"
            " continues from the last epoch that was saved"
        )


def load(job: FitJob, say: Say) -> Saved | None:
    """The checkpoint of a job; None if there is none. One that is damaged is said and not used."""
    folder = checkpoint_url(job)
    try:
        record = _read_record(folder)
        if record is None:
            return None
        data = read_bytes(f"{folder}/epoch-{record.epoch:05d}.npz")
        found = hashlib.sha256(data).hexdigest()
        if found != record.sha256:
            raise ValueError(f"SHA-256 {found[:12]}… is not the {record.sha256[:12]}… of its record")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            state = {name: arrays[name] for name in arrays.files}
    except (SkinmlError, ValueError) as error:
        say(f"checkpoint {folder} cannot be used, the fit starts from its first epoch: {_short(error)}")
        return None
    kept = [state.pop(f"{KEPT}{number}") for number in range(sum(name.startswith(KEPT) for name in state))]
    course = Course(record.history, kept or None, record.kept_epoch, record.stopped)
    return Saved(course, state, record.backend)


def forget(job: FitJob) -> None:
    """Remove a job's checkpoint, if there is one."""
    delete_folder(checkpoint_url(job))


def _read_record(folder: str) -> Record | None:
    if not exists(f"{folder}/{RECORD}"):
        return None
    return parse_json(_RECORD, read_bytes(f"{folder}/{RECORD}", MOST_BYTES))


def _short(error: Exception) -> str:
    """The error in one line."""
    text = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error)
    return " ".join(text.split())[:300]
