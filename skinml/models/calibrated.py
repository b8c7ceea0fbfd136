"""What a bundle records of a network's calibration and of its operating threshold, in one precision."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

Method = Literal["temperature", "none"]
"""How probabilities are calibrated."""

SENSITIVITY = 0.90
"""The default sensitivity of the operating threshold. A missed cancer costs more than a second look, so the
threshold is set by what it finds; its specificity is reported beside it."""

Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]
Count = Annotated[StrictInt, Field(ge=0)]
Interval = tuple[Fraction, Fraction]


class Calibration(BaseModel):
    """The temperature in the network, and its calibration error (`metrics.measure`, 15 bins) with and without.

    Attributes:
        temperature: what the logarithms of the probabilities are divided by; 1: nothing was changed.
        reason: why it is 1 without a fit, in one line; None if it was fitted.
        images, lesions: validation images that it was fitted on, and their lesions; 0 without a fit.
        ece_before, ece_after: expected calibration error on these images; None without a fit.
        test_ece_before, test_ece_after: the same on the test images, which no choice was made by.

    """

    model_config = ConfigDict(frozen=True)

    temperature: Annotated[float, Field(gt=0, strict=True)] = 1.0
    reason: str | None = None
    images: Count = 0
    lesions: Count = 0
    ece_before: Fraction | None = None
    ece_after: Fraction | None = None
    test_ece_before: Fraction | None = None
    test_ece_after: Fraction | None = None

    @property
    def fitted(self) -> bool:
        """Whether the temperature was fitted."""
        return self.reason is None


class OperatingPoint(BaseModel):
    """The threshold on p_malignant that reaches a stated sensitivity on the validation images.

    An image is called malignant if its p_malignant is at least the threshold.

    Attributes:
        target_sensitivity: what was asked for.
        threshold: None if it could not be chosen; `reason` says why.
        threshold_interval: 95 %, from resampled validation lesions.
        lesions, malignant_lesions: of the validation images that it was chosen on.
        validation_sensitivity, validation_specificity: there.
        sensitivity, specificity: of the threshold on the test images, and their 95 % intervals by lesion.

    """

    model_config = ConfigDict(frozen=True)

    target_sensitivity: Fraction
    threshold: Fraction | None = None
    reason: str | None = None
    threshold_interval: Interval | None = None
    lesions: Count = 0
    malignant_lesions: Count = 0
    validation_sensitivity: Fraction | None = None
    validation_specificity: Fraction | None = None
    sensitivity: Fraction | None = None
    sensitivity_interval: Interval | None = None
    specificity: Fraction | None = None
    specificity_interval: Interval | None = None


def say_calibration(found: Calibration) -> str:
    """One line for a log or a card."""
    if not found.fitted:
        return f"temperature 1: {found.reason}"
    return (
        f"temperature {found.temperature:.3f}, fitted on {found.images:,} validation images of"
        f" {found.lesions:,} lesions; expected calibration error there {_three(found.ece_before)} before and"
        f" {_three(found.ece_after)} after, on the test images {_three(found.test_ece_before)} and"
        f" {_three(found.test_ece_after)}"
    )


def say_operating(found: OperatingPoint) -> str:
    """One line for a log or a card."""
    if found.threshold is None:
        return f"no threshold for p_malignant: {found.reason}"
    return (
        f"threshold {found.threshold:.4f} for p_malignant, chosen for a sensitivity of"
        f" {found.target_sensitivity:.2f} on {found.malignant_lesions:,} malignant validation lesions; on the"
        f" test images sensitivity {_with(found.sensitivity, found.sensitivity_interval)}, specificity"
        f" {_with(found.specificity, found.specificity_interval)}"
    )


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _with(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None:
        return _three(value)
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
