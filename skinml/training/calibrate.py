"""Calibrate one network on the validation images, and choose its operating threshold there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.evaluation.metrics import measure
from skinml.evaluation.operating import (
    FEWEST_LESIONS,
    choose_threshold,
    is_malignant,
    malignant_lesions,
    rates,
)
from skinml.evaluation.temperature import fit_temperature, temper
from skinml.models.calibrated import Calibration, Method, OperatingPoint

NO_VALIDATION = "the protocol has no validation images beside its test images"

Probabilities = NDArray[np.float64]
"""Of n images, float64 (n, 7)."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images that a network has predicted, such as the validation images; repeats count.

    Attributes:
        labels: true class numbers, shape (n,).
        lesions: which lesion each image shows, shape (n,).
        probabilities: shape (n, 7).

    """

    labels: NDArray[np.int64]
    lesions: NDArray[np.int64]
    probabilities: Probabilities

    def at(self, temperature: float) -> Part:
        """The same at a temperature."""
        return Part(self.labels, self.lesions, temper(self.probabilities, temperature))

    @property
    def ece(self) -> float:
        """The expected calibration error."""
        return float(measure(self.labels, self.probabilities)["ece"])


def calibrate(validation: Part | None, test: Part, method: Method) -> Calibration:
    """Fit a temperature on validation images.

    Each precision gets a temperature of its own, as it has a drift reference of its own: rounding to int8
    changes the confidence a little, and the same lesions say by how much.

    Args:
        validation: images that neither the fit nor the figures use; None: there are none.
        test: images to report the calibration error of.
        method: "none" leaves the probabilities as they are.

    """
    if method == "none":
        return Calibration(reason="it was not asked for (--calibration none)")
    if validation is None:
        return Calibration(reason=NO_VALIDATION)
    found = fit_temperature(validation.labels, validation.probabilities, validation.lesions)
    if found.reason is not None:
        return Calibration(reason=found.reason)
    return Calibration(
        temperature=found.value,
        images=len(validation.labels),
        lesions=len(np.unique(validation.lesions)),
        ece_before=validation.ece,
        ece_after=validation.at(found.value).ece,
        test_ece_before=test.ece,
        test_ece_after=test.at(found.value).ece,
    )


def operating_point(validation: Part | None, test: Part, sensitivity: float, seed: int) -> OperatingPoint:
    """Choose the threshold for p_malignant on validation images, and measure it on test images.

    Args:
        validation: as of `calibrate`, at the network's temperature.
        test: likewise.
        sensitivity: that the threshold has to reach on the validation images.
        seed: of the resampling.

    """
    if validation is None:
        return OperatingPoint(target_sensitivity=sensitivity, reason=NO_VALIDATION)
    malignant = malignant_lesions(validation.labels, validation.lesions)
    counted: dict[str, Any] = {
        "target_sensitivity": sensitivity,
        "lesions": len(np.unique(validation.lesions)),
        "malignant_lesions": malignant,
    }
    if malignant < FEWEST_LESIONS or is_malignant(validation.labels).all():
        reason = f"{malignant} malignant validation lesions are too few: {FEWEST_LESIONS} are needed"
        if malignant >= FEWEST_LESIONS:
            reason = "no validation lesion is benign"
        return OperatingPoint(reason=reason, **counted)
    chosen = choose_threshold(
        validation.labels, validation.probabilities, validation.lesions, sensitivity, seed=seed
    )
    there, here = (
        rates(part.labels, part.probabilities, part.lesions, chosen.value, seed=seed)
        for part in (validation, test)
    )
    return OperatingPoint(
        threshold=chosen.value,
        threshold_interval=chosen.interval,
        validation_sensitivity=there.sensitivity,
        validation_specificity=there.specificity,
        **vars(here),
        **counted,
    )
