"""One trial of a search: what it is told, what came of it, and the table of all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field, TypeAdapter

from skinml.errors import RequestError, StorageError
from skinml.models.manifest import Sha256
from skinml.models.searched_structure import NAME, Structure, cost, parse_structure
from skinml.search.space import INITIAL, THESIS, Value, Values, structure_of
from skinml.storage.objects import names, read_bytes
from skinml.strict_json import parse_json
from skinml.training.jobs import Url

logger = logging.getLogger("skinml.search")

REFERENCE = 0
"""The number of the thesis's network, which is fitted on the same images to compare with. It is no trial."""

MOST_BYTES = 2**20
"""The largest record that is read; ours have three kilobytes."""

Number = Annotated[int, Field(ge=0)]
Part = Annotated[float, Field(ge=0.0, le=1.0)]


@dataclass(frozen=True)
class TrialJob:
    """What a worker is told: plain values and URLs.

    Attributes:
        number: from 1; REFERENCE for the thesis's network.
        values: hyperparameters.
        model: the architecture, with its structure.
        images: URL of the search's images.
        images_sha256: of that file.
        record: URL of the record to write.
        epochs: passes over the training images at most.
        seed: of weights, order, dropout and augmentation.
    """

    number: Number
    values: dict[str, Value]
    model: str
    images: Url
    images_sha256: Sha256
    record: Url
    epochs: Annotated[int, Field(ge=1)]
    seed: Number


@dataclass(frozen=True)
class Measured:
    """What a fit of a trial has measured on the validation images.

    Attributes:
        balanced_accuracy: of the best epoch, by which trials are compared.
        accuracy, loss: of that epoch; the loss is categorical cross-entropy in nats.
        best_epoch: which one it is, counted from 1; the first of several that are equal.
        epochs: how many were fitted.
        history: balanced accuracy of each.
        seconds: of fitting and measuring, without the start of the process.
    """

    balanced_accuracy: Part
    accuracy: Part
    loss: float
    best_epoch: Number
    epochs: Number
    history: list[float]
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A finished trial, as its record in the workspace says: `search/<key>/trial-0007.json`.

    Attributes:
        number, values, model: of its job.
        status: done or failed.
        reason: why it failed, in one line; empty if it did not.
        measured: None if it failed.
    """

    number: Number
    values: dict[str, Value]
    model: str
    status: Literal["done", "failed"]
    reason: str
    measured: Measured | None

    @property
    def score(self) -> float | None:
        """What trials are compared by: balanced accuracy on validation; None if it failed."""
        return None if self.measured is None else self.measured.balanced_accuracy


JOB = TypeAdapter(TrialJob)
MEASURED = TypeAdapter(Measured)
TRIAL = TypeAdapter(Trial)


def done(job: TrialJob, measured: Measured) -> Trial:
    """A trial that was measured."""
    return Trial(job.number, job.values, job.model, "done", "", measured)


def failed(job: TrialJob, reason: str) -> Trial:
    """A trial that could not be measured."""
    return Trial(job.number, job.values, job.model, "failed", " ".join(reason.split())[:300], None)


def model_of(values: Values, colours: tuple[float, ...]) -> str:
    """The architecture of a point of the space."""
    return f"{NAME}:{structure_of(values, colours)}"


def structure_of_model(model: str) -> Structure:
    """The structure that an architecture's name describes."""
    return parse_structure(model.partition(":")[2])


def trial_name(number: int) -> str:
    """The name of a trial's record."""
    return f"trial-{number:04d}.json"


def read_trials(folder: str) -> dict[int, Trial]:
    """The finished trials of a search, by number. A record that cannot be read is left out, and said.

    Args:
        folder: URL of the search's folder.
    """
    found: dict[int, Trial] = {}
    for name in names(folder):
        if not (name.startswith("trial-") and name.endswith(".json")):
            continue
        try:
            trial = parse_json(TRIAL, read_bytes(f"{folder}/{name}", MOST_BYTES))
            structure_of_model(trial.model)
            if name != trial_name(trial.number):
                raise ValueError(f"it is the record of trial {trial.number}")
        except StorageError:
            raise
        except (ValueError, RequestError) as error:
            logger.warning("%s/%s: is no record of a trial (%s); the trial is repeated", folder, name, error)
            continue
        found[trial.number] = trial
    return found


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The trial with the highest score, of equal ones the smallest network; None if all failed."""
    scored = [trial for trial in trials if trial.score is not None and trial.number != REFERENCE]
    if not scored:
        return None
    return min(scored, key=lambda trial: (-float(trial.score or 0), cost_of(trial).parameters, trial.number))


def cost_of(trial: Trial) -> Any:
    """Parameters and multiply-adds of a trial's network."""
    return cost(structure_of_model(trial.model))


def row_of(trial: Trial) -> dict[str, Any]:
    """A trial as a row for people and tables: figures first, then hyperparameters."""
    size = cost_of(trial)
    measured: Mapping[str, Any] = {} if trial.measured is None else vars(trial.measured)
    figures = [field.name for field in fields(Measured) if field.name != "history"]
    return {
        "trial": trial.number,
        "status": trial.status,
        **{name: measured.get(name) for name in figures},
        "parameters": size.parameters,
        "multiply_adds": size.multiply_adds,
        "network": ",".join(str(structure_of_model(trial.model)).split(",")[:1]).removeprefix("filters="),
        **{name: trial.values.get(name) for name in NAMES},
        "model": trial.model,
        "reason": trial.reason,
    }


NAMES = tuple(
    dict.fromkeys(
        [
            *(name for name in INITIAL if "filters_" not in name),
            *(f"convolution/filters_{block}_{layer}" for block in (1, 2, 3) for layer in (1, 2)),
            *(
                f"image/augmentation/{name}"
                for name in ("shift", "horizontal_flip", "vertical_flip", "rotation", "contrast")
            ),
            *(name for name in THESIS if "filters_" not in name),
        ]
    )
)
"""Every hyperparameter, in the order of the table."""


def table_of(trials: Iterable[Trial]) -> pa.Table:
    """All trials as a table, in the order of their numbers."""
    rows = [row_of(trial) for trial in sorted(trials, key=lambda trial: trial.number)]
    return pa.Table.from_pylist(rows)
