"""From a fitted network to all that a bundle holds of it: `unlike_training`, int8, the reference. No Keras.

Meant for a process of its own (`training.process`): calibration holds activations in memory, and a crash in a
library's native code must not take the run along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.evaluation.intervals import paired_lesion_bootstrap
from skinml.evaluation.metrics import measure
from skinml.images.quality import measure as measure_quality
from skinml.labels import DIAGNOSES
from skinml.models.inference import BATCH, infer
from skinml.models.onnx import OUTPUT_NAME as PROBABILITIES
from skinml.models.outliers import OUTPUT_NAME as OUTLIERS
from skinml.models.outliers import add_outliers
from skinml.models.precisions import FILES, Network, Precision, may_score
from skinml.models.quantise import calibration_positions, quantise
from skinml.monitoring import reference
from skinml.monitoring.reference import Measured, gather_measures, make_reference
from skinml.training.pixels import Pixels, gather, open_shards
from skinml.training.protocols import Recipe
from skinml.training.resampling import Positions

Probabilities = NDArray[np.float64]
"""Of n images, float64 (n, 7)."""

MOST_IMAGES = 20_000
"""Images that features and reference are taken from, spread over all there are: 1 % flagged is known to a
tenth of a percent by then, and a million would take half an hour."""

FEWEST_HELD_OUT = 20
"""Images that the fit has not seen below which its test images, seen or not, are the reference instead."""


@dataclass(frozen=True, eq=False)
class FinishJob:
    """What to finish.

    Attributes:
        shards: .npy files, uint8 (n_i, size, size, 3); positions count rows through them in this order.
        labels: class numbers of all positions, shape (n,), int64; -1 where no sample lies.
        width: of the source image at each position, in px, shape (n,); 0 where no sample lies.
        height: likewise.
        lesions: a number for the lesion at each position, shape (n,), int64.
        recipe: what was fitted on, and what is measured on.
        seed: of the calibration images and of the interval.
        folder: holds model.onnx.

    """

    shards: tuple[Path, ...]
    labels: NDArray[np.int64]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    lesions: NDArray[np.int64]
    recipe: Recipe
    seed: int
    folder: Path


@dataclass(frozen=True)
class Finished:
    """What came of it.

    Attributes:
        precisions: each network as it was measured on the recipe's test images.
        reference_images: how many images the reference is of.
        held_out: whether the fit has seen none of them.

    """

    precisions: dict[Precision, Network]
    reference_images: int
    held_out: bool

    def to_json(self) -> dict[str, Any]:
        """What was measured of each precision, as plain data."""
        return {name: network.model_dump(mode="json") for name, network in self.precisions.items()}


def finish(job: FinishJob, emit: Callable[[], None]) -> Finished:
    """Add `unlike_training` to model.onnx; write model-int8.onnx, where that can be done, and reference.json.

    Raises:
        RunError: the network has no features that `unlike_training` could be made of, or its outputs are not
            finite.

    """
    shards = open_shards(job.shards)
    train = np.unique(job.recipe.train)
    add_outliers(job.folder / FILES["fp32"], _batches(shards, _spread(train)))
    held_out = np.setdiff1d(np.flatnonzero(job.labels >= 0), train)
    enough = len(held_out) >= FEWEST_HELD_OUT
    watched = _spread(held_out if enough else np.unique(job.recipe.test))

    seen: dict[Precision, Measured] = {}
    probabilities: dict[Precision, Probabilities] = {}
    seen["fp32"], probabilities["fp32"] = _look("fp32", job, shards, watched)
    failure = ""
    try:
        chosen = calibration_positions(job.labels, job.recipe.train, job.seed)
        quantise(job.folder / FILES["fp32"], job.folder / FILES["int8"], _batches(shards, chosen))
        seen["int8"], probabilities["int8"] = _look("int8", job, shards, watched)
    except Exception as error:  # whatever onnxruntime makes of the graph: fp32 scores all the same
        (job.folder / FILES["int8"]).unlink(missing_ok=True)
        failure = f"quantising it failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    written = make_reference(seen, enough).model_dump_json(indent=1)
    (job.folder / reference.FILE).write_text(written, encoding="utf-8")
    test = job.recipe.test
    networks = compare_networks(job.labels[test], job.lesions[test], probabilities, failure, job.seed)
    return Finished(networks, len(watched), enough)


def compare_networks(
    labels: NDArray[np.int64],
    lesions: NDArray[np.int64],
    probabilities: dict[Precision, Probabilities],
    failure: str,
    seed: int,
) -> dict[Precision, Network]:
    """What each precision is worth on the test images, and whether int8 may score.

    Args:
        labels: true class numbers, shape (n,).
        lesions: which lesion each image shows, shape (n,).
        probabilities: of fp32, and of int8 where it is there.
        failure: why it is not, where it is not.
        seed: of the resampling.

    """
    networks = {name: _network(name, labels, values) for name, values in probabilities.items()}
    if "int8" not in networks:
        networks["int8"] = Network(failure=failure)
        return networks
    fp32, int8 = probabilities["fp32"], probabilities["int8"]
    before, after = fp32.argmax(axis=1), int8.argmax(axis=1)
    paired = paired_lesion_bootstrap(labels, lesions, before, after, classes=len(DIAGNOSES), seed=seed)
    measured = networks["int8"].model_copy(
        update={
            "agreement": float((before == after).mean()),
            "largest_difference": float(np.abs(fp32 - int8).max()),
            "difference": paired.difference,
            "interval": (paired.low, paired.high),
            "lesions": dict(zip(DIAGNOSES, paired.lesions, strict=True)),
        }
    )
    networks["int8"] = measured.model_copy(update={"allowed": may_score(measured)})
    return networks


def _network(precision: Precision, labels: NDArray[np.int64], probabilities: Probabilities) -> Network:
    """One network's figures."""
    metrics = measure(labels, probabilities)
    return Network(
        file=FILES[precision],
        images=len(labels),
        balanced_accuracy=metrics["balanced_accuracy"],
        macro_auc=metrics["macro_auc"],
        allowed=True,
    )


def _look(
    precision: Precision, job: FinishJob, shards: Sequence[Pixels], watched: Positions
) -> tuple[Measured, Probabilities]:
    """The measures of the watched images, and the probabilities of the test images, repeats included."""
    needed = np.union1d(watched, job.recipe.test)
    found = infer(job.folder / FILES[precision], _batches(shards, needed), [PROBABILITIES, OUTLIERS])
    for name, values in found.items():
        if not np.isfinite(values).all():
            raise RunError(f"{FILES[precision]} gives {name} that are not finite; try another --seed")
    quality = [measure_quality(batch) for batch in _batches(shards, watched)]
    rows = np.searchsorted(needed, watched)
    measured = gather_measures(
        brightness=np.concatenate([batch.brightness for batch in quality]),
        sharpness=np.concatenate([batch.sharpness for batch in quality]),
        width=job.width[watched],
        height=job.height[watched],
        probabilities=found[PROBABILITIES][rows],
        unlike_training=found[OUTLIERS][rows],
    )
    return measured, found[PROBABILITIES][np.searchsorted(needed, job.recipe.test)]


def _batches(shards: Sequence[Pixels], positions: Positions) -> Iterator[Pixels]:
    """The pixels of these positions, some at a time."""
    for start in range(0, len(positions), BATCH):
        yield gather(shards, positions[start : start + BATCH])


def _spread(positions: Positions) -> Positions:
    """These positions, or MOST_IMAGES of them at even steps."""
    if len(positions) <= MOST_IMAGES:
        return positions
    chosen: Positions = positions[np.linspace(0, len(positions) - 1, MOST_IMAGES).astype(np.int64)]
    return chosen
