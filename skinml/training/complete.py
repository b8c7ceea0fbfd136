"""Complete one network of a bundle: add views and temperature, and measure what it gives after that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.evaluation.temperature import temper
from skinml.images.preprocessing import Normalisation, network_input
from skinml.images.quality import measure as measure_quality
from skinml.models.calibrated import Calibration, OperatingPoint
from skinml.models.inference import BATCH, infer
from skinml.models.outliers import OUTPUT_NAME as OUTLIERS
from skinml.models.outputs import OUTPUT_NAME as PROBABILITIES
from skinml.models.tempering import add_temperature, check_tempered
from skinml.models.views import add_views, check_views
from skinml.monitoring.reference import Measured, gather_measures
from skinml.training.calibrate import Part, Probabilities, calibrate, operating_point
from skinml.training.inputs import Inputs
from skinml.training.jobs import FinishJob
from skinml.training.pixels import Pixels, gather
from skinml.training.resampling import Positions

CHECKED = 16
"""Images that the graph with views and temperature is compared on with the same arithmetic outside of it."""


@dataclass(frozen=True, eq=False)
class Data:
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

    def part(self, positions: Positions, probabilities: Probabilities) -> Part:
        """These positions with their probabilities."""
        return Part(self.inputs.labels[positions], self.inputs.lesions[positions], probabilities)


@dataclass(frozen=True, eq=False)
class Complete:
    """A completed network, as it was measured.

    Attributes:
        measured: the measures of the images that the drift reference is of.
        test, validation: probabilities (n, 7) of these images, repeats included.
        calibration: its temperature.
        operating_point: its threshold for p_malignant.

    """

    measured: Measured
    test: Probabilities
    validation: Probabilities
    calibration: Calibration
    operating_point: OperatingPoint


def complete(network: Path, data: Data, watched: Positions, job: FinishJob) -> Complete:
    """Add views and temperature to a network, and measure it.

    Each image is predicted once: the temperature is fitted on the probabilities before it, and what the network
    gives with it follows by arithmetic. A few images are predicted again to check that.

    Args:
        network: an ONNX file with the outputs `probabilities` and `unlike_training`; replaced.
        data: the pixels.
        watched: the images of the drift reference.
        job: views, calibration, sensitivity and seed.

    Raises:
        RunError: its outputs are not finite, or not what they should be with views and temperature.

    """
    inputs = data.inputs
    some = next(data.batches(np.unique(inputs.test)[:CHECKED]))
    if job.views > 1:
        plain = Path(shutil.copy(network, network.with_suffix(".plain")))
        add_views(network, job.views)
        check_views(plain, network, job.views, some)
        plain.unlink()
    needed = np.unique(np.concatenate([watched, inputs.test, inputs.validation]))
    found = infer(network, data.batches(needed), [PROBABILITIES, OUTLIERS])
    for name, values in found.items():
        if not np.isfinite(values).all():
            raise RunError(f"{network.name} gives {name} that are not finite; try another --seed")

    raw = found[PROBABILITIES]
    test, validation = (np.searchsorted(needed, positions) for positions in (inputs.test, inputs.validation))
    tested = data.part(inputs.test, raw[test])
    apart = not np.intersect1d(inputs.validation, inputs.test).size  # the thesis validates on its test images
    validated = data.part(inputs.validation, raw[validation]) if apart else None
    calibration = calibrate(validated, tested, job.calibration)
    temperature = calibration.temperature
    add_temperature(network, temperature)
    check_tempered(network, temperature, raw[np.searchsorted(needed, np.unique(inputs.test)[:CHECKED])], some)
    probabilities = temper(raw, temperature)
    chosen = operating_point(
        None if validated is None else validated.at(temperature),
        tested.at(temperature),
        job.operating_sensitivity,
        job.seed,
    )

    quality = [measure_quality(batch) for batch in data.pixels(watched)]
    rows = np.searchsorted(needed, watched)
    measured = gather_measures(
        brightness=np.concatenate([batch.brightness for batch in quality]),
        sharpness=np.concatenate([batch.sharpness for batch in quality]),
        width=inputs.width[watched],
        height=inputs.height[watched],
        probabilities=probabilities[rows],
        unlike_training=found[OUTLIERS][rows],
    )
    return Complete(measured, probabilities[test], probabilities[validation], calibration, chosen)
