"""Finish a fitted network for its bundle: add `unlike_training`, int8 and the drift reference, without Keras.

Meant for a process of its own (`training.dispatch`): calibration holds activations in memory, and a crash in a
library's native code must not take the run along.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skinml.dataset.shard_files import map_shards
from skinml.errors import RunError
from skinml.evaluation.intervals import paired_lesion_bootstrap
from skinml.evaluation.metrics import measure
from skinml.evaluation.weighted import predicted_classes
from skinml.images.preprocessing import Normalisation, network_input
from skinml.images.quality import measure as measure_quality
from skinml.labels import DIAGNOSES
from skinml.models.bundle import NETWORKS, REFERENCE, leave
from skinml.models.inference import BATCH, infer
from skinml.models.onnx import OUTPUT_NAME as PROBABILITIES
from skinml.models.outliers import OUTPUT_NAME as OUTLIERS
from skinml.models.outliers import add_outliers
from skinml.models.precisions import Network, Precision, may_score
from skinml.models.quantise import calibration_positions, quantise
from skinml.models.zoo import architecture
from skinml.monitoring.reference import Measured, gather_measures, make_reference
from skinml.storage.objects import read_bytes
from skinml.training.inputs import Inputs, read_inputs
from skinml.training.jobs import FinishJob
from skinml.training.pixels import Pixels, gather
from skinml.training.resampling import Positions
from skinml.training.results import Finished

Probabilities = NDArray[np.float64]
"""Of n images, float64 (n, 7)."""

MOST_IMAGES = 20_000
"""Images that features and reference are taken from, spread over all there are: 1 % flagged is known to a
tenth of a percent by then, and a million would take half an hour."""

FEWEST_HELD_OUT = 20
"""Images that the fit has not seen below which its test images, seen or not, are the reference instead."""


def finish(job: FinishJob, scratch: Path) -> Finished:
    """Add `unlike_training` to the network; write its int8 form, if that can be done, and the reference.

    Args:
        job: what to finish.
        scratch: a folder of this machine for copies of shards.

    Raises:
        RequestError: no architecture has this name.
        RunError: the network has no features that `unlike_training` could be made of, or its outputs are not
            finite.

    """
    shape = architecture(job.architecture)
    inputs = read_inputs(job.inputs, job.inputs_sha256)
    shards = map_shards(job.workspace, job.dataset_key, job.stored_as, inputs.shards, scratch)
    data = _Data(shards, inputs, shape.normalisation)
    train = np.unique(inputs.train)
    held_out = np.setdiff1d(np.flatnonzero(inputs.labels >= 0), train)
    enough = len(held_out) >= FEWEST_HELD_OUT
    watched = _spread(held_out if enough else np.unique(inputs.test))

    with tempfile.TemporaryDirectory(prefix="skinml-finish-") as name:
        folder = Path(name)
        fp32, int8 = (folder / NETWORKS[precision] for precision in ("fp32", "int8"))
        fp32.write_bytes(_fitted(job))
        add_outliers(fp32, data.batches(_spread(train)))

        seen: dict[Precision, Measured] = {}
        probabilities: dict[Precision, Probabilities] = {}
        seen["fp32"], probabilities["fp32"] = _look(fp32, data, watched)
        failure = ""
        try:
            chosen = calibration_positions(inputs.labels, inputs.train, job.seed)
            quantise(fp32, int8, data.batches(chosen), shape.quantisable)
            seen["int8"], probabilities["int8"] = _look(int8, data, watched)
        except Exception as error:  # whatever onnxruntime makes of the graph: fp32 scores all the same
            int8.unlink(missing_ok=True)
            failure = f"quantising it failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        written = make_reference(seen, enough).model_dump_json(indent=1)
        (folder / REFERENCE).write_text(written, encoding="utf-8")
        files = leave(folder, job.results)
    labels, lesions = inputs.labels[inputs.test], inputs.lesions[inputs.test]
    networks = compare_networks(labels, lesions, probabilities, failure, job.seed)
    return Finished(networks, len(watched), enough, files)


def _fitted(job: FinishJob) -> bytes:
    """The network that the fit left."""
    url = f"{job.fitted}/{NETWORKS['fp32']}"
    data = read_bytes(url)
    if hashlib.sha256(data).hexdigest() != job.fitted_sha256:
        raise RunError(f"{url}: is not the network that the fit left; train again")
    return data


@dataclass(frozen=True, eq=False)
class _Data:
    """All pixels and what they show, and how values reach the network."""

    shards: Sequence[Pixels]
    inputs: Inputs
    normalisation: Normalisation

    def pixels(self, positions: Positions) -> Iterator[Pixels]:
        """The pixels of these positions, some at a time."""
        for start in range(0, len(positions), BATCH):
            yield gather(self.shards, positions[start : start + BATCH])

    def batches(self, positions: Positions) -> Iterator[NDArray[np.float32]]:
        """The same as the network takes them."""
        return (network_input(batch, self.normalisation) for batch in self.pixels(positions))


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
    # int8 has 256 levels, so equal highest probabilities are common; they count as wrong, as everywhere.
    predicted = [predicted_classes(labels, values) for values in (fp32, int8)]
    paired = paired_lesion_bootstrap(labels, lesions, *predicted, classes=len(DIAGNOSES), seed=seed)
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
        file=NETWORKS[precision],
        images=len(labels),
        balanced_accuracy=metrics["balanced_accuracy"],
        macro_auc=metrics["macro_auc"],
        allowed=True,
    )


def _look(network: Path, data: _Data, watched: Positions) -> tuple[Measured, Probabilities]:
    """The measures of the watched images, and the probabilities of the test images, repeats included."""
    test = data.inputs.test
    needed = np.union1d(watched, test)
    found = infer(network, data.batches(needed), [PROBABILITIES, OUTLIERS])
    for name, values in found.items():
        if not np.isfinite(values).all():
            raise RunError(f"{network.name} gives {name} that are not finite; try another --seed")
    quality = [measure_quality(batch) for batch in data.pixels(watched)]
    rows = np.searchsorted(needed, watched)
    measured = gather_measures(
        brightness=np.concatenate([batch.brightness for batch in quality]),
        sharpness=np.concatenate([batch.sharpness for batch in quality]),
        width=data.inputs.width[watched],
        height=data.inputs.height[watched],
        probabilities=found[PROBABILITIES][rows],
        unlike_training=found[OUTLIERS][rows],
    )
    return measured, found[PROBABILITIES][np.searchsorted(needed, test)]


def _spread(positions: Positions) -> Positions:
    """These positions, or MOST_IMAGES of them at even steps."""
    if len(positions) <= MOST_IMAGES:
        return positions
    chosen: Positions = positions[np.linspace(0, len(positions) - 1, MOST_IMAGES).astype(np.int64)]
    return chosen
