"""The arrays that a job needs: the label of each position, and which positions train, validate and test.

They are one object at a URL, whose SHA-256 the job names. A job is a few hundred bytes then, whatever it fits
on: for 10,000 samples the object has 0.05 MB and for 1,000,000 7 MB, more than a scheduler wants to pass on.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.dataset.pixelstore import PixelStore
from skinml.dataset.shard_files import Shard
from skinml.errors import RunError
from skinml.storage.objects import read_bytes, write_bytes
from skinml.training.jobs import RANDOM, FitJob, SoftLabels, Start
from skinml.training.protocols import Recipe
from skinml.training.resampling import Positions

COLUMNS = ("labels", "width", "height", "lesions")
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Inputs:
    """What a job fits on. A position is a row number in all shards' rows together, in their order.

    Attributes:
        shards: of the dataset.
        labels: class numbers of all positions, shape (n,), int64; -1 where no sample lies.
        width: of the source image at each position, in px, shape (n,); 0 where no sample lies.
        height: likewise.
        lesions: a number for the lesion at each position, shape (n,), int64.
        train: positions fitted on, shape (k,), int64. Repeats count.
        validation: positions measured after each epoch.
        test: positions that the final probabilities are for.

    """

    shards: tuple[Shard, ...]
    labels: NDArray[np.int64]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    lesions: NDArray[np.int64]
    train: Positions
    validation: Positions
    test: Positions


def gather_inputs(store: PixelStore, recipe: Recipe) -> Inputs:
    """The inputs of a recipe on these samples."""
    return Inputs(
        shards=store.shards,
        labels=store.labels,
        width=store.by_position("width"),
        height=store.by_position("height"),
        lesions=store.lesions(),
        train=recipe.train,
        validation=recipe.validation,
        test=recipe.test,
    )


def write_inputs(url: str, inputs: Inputs) -> str:
    """Put the inputs at a URL; their SHA-256."""
    shards = np.array([(shard.number, shard.rows, shard.size_bytes) for shard in inputs.shards], np.int64)
    arrays: dict[str, Any] = {name: _smallest(getattr(inputs, name)) for name in (*COLUMNS, *PARTS)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, shards=shards.reshape(-1, 3), **arrays)
    data = buffer.getvalue()
    write_bytes(url, data)
    return hashlib.sha256(data).hexdigest()


def write_fit_job(
    store: PixelStore,
    recipe: Recipe,
    architecture: str,
    seed: int,
    results: str,
    export: bool,
    soft_labels: SoftLabels | None = None,
    start: Start = RANDOM,
) -> FitJob:
    """The job that fits a recipe on these samples. Its inputs are written beside `results`.

    Args:
        store: where the pixels lie.
        recipe: which positions train, validate and test, and how.
        architecture: a name in `models.zoo`.
        seed: of weights, order and dropout.
        results: URL of the folder for what the fit makes.
        export: whether it leaves its network there.
        soft_labels: what teachers say of the training images.
        start: what the weights are before the fit.
    """
    inputs = f"{results}.npz"
    return FitJob(
        workspace=store.workspace,
        dataset_key=store.dataset_key,
        stored_as=store.stored_as,
        inputs=inputs,
        inputs_sha256=write_inputs(inputs, gather_inputs(store, recipe)),
        architecture=architecture,
        settings=recipe.settings,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        seed=seed,
        results=results,
        export=export,
        soft_labels=soft_labels,
        start=start,
    )


def read_inputs(url: str, sha256: str) -> Inputs:
    """The inputs at a URL.

    Raises:
        RunError: they are other ones than the job names.
        StorageError: they are not there.

    """
    data = read_bytes(url)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise RunError(
            f"{url}: SHA-256 {found[:12]}… is not the {sha256[:12]}… that the job names; train again"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        shards = tuple(Shard(*row) for row in arrays["shards"].tolist())
        return Inputs(shards, **{name: arrays[name].astype(np.int64) for name in (*COLUMNS, *PARTS)})


def _smallest(values: NDArray[np.int64]) -> NDArray[np.signedinteger]:
    """Whole numbers in as few bytes as they need: labels in one, a million positions in four."""
    low, high = values.min(initial=0), values.max(initial=0)
    kinds = (np.int8, np.int16, np.int32, np.int64)
    return values.astype(
        next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    )
