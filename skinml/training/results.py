"""The results of training jobs: measurements, and hash and size of each file that they wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from skinml.models.manifest import File
from skinml.models.precisions import Network, Precision

PROBABILITIES, VALIDATION = "probabilities.npy", "validation.npy"
"""Of the test and of the validation images, (n, 7) float64: 6 MB for 100,000 of them, so files and no part of
the answer. A fit leaves both as Keras gives them, and finishing as the finished fp32 network does."""

TRAINING_FEATURES = "training-features.npz"
"""Positions (k,) int64 of training images, and their features (k, d) float16."""


@dataclass(frozen=True)
class FitReport:
    """What came of a fit, except the probabilities.

    Attributes:
        history: loss, accuracy, val_loss, val_accuracy, val_balanced_accuracy: one value an epoch. Loss is
            categorical cross-entropy in nats; the training values are means while the epoch ran.
        seconds: fitting and validating, without imports and export.
        best_epoch: the epoch whose weights were kept, counted from 1.
        stopped: why it stopped before its last epoch; empty if it did not.
        pace: seconds, images_per_second, and waited: seconds for which the network waited for batches. One
            value an epoch that the last process fitted.
        parity: largest difference between Keras and ONNX on real test images; None without export.
        parameters: trainable and other weights of the model.
        libraries: name to version of whatever shapes the weights.
        files: what lies in the job's `results`.

    """

    history: dict[str, list[float]]
    seconds: float
    best_epoch: int
    stopped: str
    pace: dict[str, list[float]]
    parity: float | None
    parameters: int
    libraries: dict[str, str]
    files: dict[str, File]


@dataclass(frozen=True, eq=False)
class FitResult(FitReport):
    """What came of a fit.

    Attributes:
        probabilities: of the kept weights on the test positions, shape (len(test), 7), float64.
        validation: the same on the validation positions, shape (len(validation), 7).

    """

    probabilities: NDArray[np.float64]
    validation: NDArray[np.float64]


@dataclass(frozen=True)
class Finished:
    """What came of finishing a network.

    Attributes:
        precisions: each network as it was measured on the recipe's test images.
        reference_images: how many images the reference is of.
        held_out: whether the fit has seen none of them.
        files: what lies in the job's `results`.
        foreign: what the fp32 network does with images that show no lesion (`monitoring.foreign.behaviour`).

    """

    precisions: dict[Precision, Network]
    reference_images: int
    held_out: bool
    files: dict[str, File]
    foreign: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """What was measured of each precision, as plain data."""
        return {name: network.model_dump(mode="json") for name, network in self.precisions.items()}

    def measurements(self) -> dict[str, Any]:
        """What `metrics.json` keeps of it. Calibration and threshold are those of fp32."""
        precisions = self.to_json()
        chosen = {name: precisions["fp32"][name] for name in ("calibration", "operating_point")}
        return {"precisions": precisions, "foreign": self.foreign, **chosen}


REPORT = TypeAdapter(FitReport)
FINISHED = TypeAdapter(Finished)
