"""Finish a fitted network for its bundle: outliers, int8, views, calibration, reference; without Keras.

Meant for a process of its own (`training.dispatch`): calibration holds activations in memory, and a crash in a
library's native code must not take the run along.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from functools import partial
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
from skinml.models.inference import BATCH, infer, mean_cells
from skinml.models.outliers import OUTPUT_NAME as OUTLIERS
from skinml.models.outliers import add_outliers
from skinml.models.outputs import OUTPUT_NAME
from skinml.models.precisions import Network, Precision, may_score
from skinml.models.quantise import calibration_positions, quantise
from skinml.models.views import turn
from skinml.models.zoo import architecture
from skinml.monitoring.foreign import IMAGES as FOREIGN_IMAGES
from skinml.monitoring.foreign import behaviour
from skinml.monitoring.reference import Measured, gather_measures, make_reference
from skinml.storage.objects import read_bytes
from skinml.training.calibrate import Probabilities
from skinml.training.complete import Complete, Data, complete
from skinml.training.inputs import read_inputs
from skinml.training.jobs import FinishJob
from skinml.training.pixels import Pixels, gather
from skinml.training.resampling import Positions
from skinml.training.results import PROBABILITIES, TRAINING_FEATURES, VALIDATION, Finished
from skinml.training.training_features import write_features

MOST_IMAGES = 20_000
"""Images that features and reference are taken from, spread over all there are: 1 % flagged is known to a
tenth of a percent by then, and a million would take half an hour."""

FEWEST_HELD_OUT = 20
"""Images that the fit has not seen below which its test images, seen or not, are the reference instead."""


def finish(job: FinishJob, scratch: Path) -> Finished:
    """Add `unlike_training`, views and temperature to the network; write its int8 form, if that can be done.

    The reference, the operating threshold and all figures are of the finished networks. int8 is made before the
    views, whose copies of the network's inputs it would quantise too.

    Args:
        job: what to finish.
        scratch: a folder of this machine for copies of shards.

    Raises:
        RequestError: no architecture has this name.
        RunError: the network has no features that `unlike_training` could be made of, its outputs are not
            finite, or with views or temperature it gives other probabilities than it should.

    """
    shape = architecture(job.architecture)
    inputs = read_inputs(job.inputs, job.inputs_sha256)
    shards = map_shards(job.workspace, job.dataset_key, job.stored_as, inputs.shards, scratch)
    data = Data(shards, inputs, shape.normalisation)
    train = np.unique(inputs.train)
    held_out = np.setdiff1d(np.flatnonzero(inputs.labels >= 0), train)
    enough = len(held_out) >= FEWEST_HELD_OUT
    watched = _spread(held_out if enough else np.unique(inputs.test), MOST_IMAGES)

    with tempfile.TemporaryDirectory(prefix="skinml-finish-") as name:
        folder = Path(name)
        fp32, int8 = (folder / NETWORKS[precision] for precision in ("fp32", "int8"))
        fp32.write_bytes(_fitted(job))
        spread = _spread(train, MOST_IMAGES)
        add_outliers(fp32, data.batches(spread))
        if shape.cells is not None:
            write_features(folder / TRAINING_FEATURES, spread, mean_cells(fp32, data.batches(spread)))

        failure = ""
        try:
            chosen = calibration_positions(inputs.labels, inputs.train, job.seed)
            quantise(fp32, int8, _turned(data.batches(chosen), job.views), shape.quantisable)
        except Exception as error:  # whatever onnxruntime makes of the graph: fp32 scores all the same
            failure = _failure(error)
        done: dict[Precision, Complete] = {"fp32": complete(fp32, data, watched, job)}
        if not failure:
            try:
                done["int8"] = complete(int8, data, watched, job)
            except Exception as error:  # likewise
                failure = _failure(error)
        if failure:
            int8.unlink(missing_ok=True)
        reference = make_reference({name: one.measured for name, one in done.items()}, enough)
        (folder / REFERENCE).write_text(reference.model_dump_json(indent=1), encoding="utf-8")
        tested = gather(shards, _spread(np.unique(inputs.test), FOREIGN_IMAGES))
        foreign = behaviour(
            tested,
            partial(_score, fp32, shape.normalisation),
            reference.precisions["fp32"].thresholds,
            job.seed,
        )
        np.save(folder / PROBABILITIES, done["fp32"].test, allow_pickle=False)
        np.save(folder / VALIDATION, done["fp32"].validation, allow_pickle=False)
        files = leave(folder, job.results)
    labels, lesions = inputs.labels[inputs.test], inputs.lesions[inputs.test]
    probabilities = {name: one.test for name, one in done.items()}
    networks = compare_networks(labels, lesions, probabilities, failure, job.seed)
    for name, one in done.items():
        found = {"calibration": one.calibration, "operating_point": one.operating_point}
        networks[name] = networks[name].model_copy(update=found)
    return Finished(networks, len(watched), enough, files, foreign)


def _fitted(job: FinishJob) -> bytes:
    """The network that the fit left."""
    url = f"{job.fitted}/{NETWORKS['fp32']}"
    data = read_bytes(url)
    if hashlib.sha256(data).hexdigest() != job.fitted_sha256:
        raise RunError(f"{url}: is not the network that the fit left; train again")
    return data


def _turned(batches: Iterator[NDArray[np.float32]], views: int) -> Iterator[NDArray[np.float32]]:
    """Batches of images for the ranges of activations, each in the next view: int8 has to hold all of them."""
    return (turn(batch, number % views) for number, batch in enumerate(batches))


def _failure(error: Exception) -> str:
    return f"quantising it failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


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


def _score(network: Path, normalisation: Normalisation, pixels: Pixels) -> tuple[Measured, Probabilities]:
    """The measures and probabilities of images of the model's own size."""
    batches = (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
    found = infer(network, (network_input(one, normalisation) for one in batches), [OUTPUT_NAME, OUTLIERS])
    quality = measure_quality(pixels)
    edge = np.full(len(pixels), pixels.shape[1])
    measured = gather_measures(
        brightness=quality.brightness,
        sharpness=quality.sharpness,
        width=edge,
        height=edge,
        probabilities=found[OUTPUT_NAME],
        unlike_training=found[OUTLIERS],
    )
    return measured, found[OUTPUT_NAME]


def _spread(positions: Positions, most: int) -> Positions:
    """These positions, or `most` of them at even steps."""
    if len(positions) <= most:
        return positions
    chosen: Positions = positions[np.linspace(0, len(positions) - 1, most).astype(np.int64)]
    return chosen
