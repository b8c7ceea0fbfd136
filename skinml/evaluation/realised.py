"""Sensitivity, specificity and balanced accuracy of past decisions, with intervals that hold for few lesions.

A month of outcomes may have three melanomas. If all of them were found, a bootstrap would give the interval 1
to 1, so the intervals here are Wilson's. The number of trials is that of the lesions, not of the images: images
of one lesion are not independent, and this takes them for copies of each other. So the intervals are rather too
wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES, MALIGNANT, MELANOMA

Z = 1.959963984540054
"""The normal quantile of 97.5 %."""

RATES = ("melanoma_sensitivity", "melanoma_specificity", "malignant_sensitivity", "malignant_specificity")

_MALIGNANT = [DIAGNOSES.index(name) for name in MALIGNANT]

Interval = list[float] | None


def realised(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], lesions: NDArray[np.integer]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return figures of decided diagnoses and their 95 % intervals.

    >>> import numpy as np
    >>> metrics, intervals = realised(np.array([4, 4, 5]), np.array([4, 4, 5]), np.array([0, 0, 1]))
    >>> metrics["melanoma_sensitivity"], [round(end, 2) for end in intervals["melanoma_sensitivity"]]
    (1.0, [0.21, 1.0])

    Args:
        labels: true class numbers, shape (n,), 0 to 6.
        predicted: class numbers that were predicted, shape (n,).
        lesions: number of the lesion of each image, shape (n,), 0 to about n.

    Returns:
        - images, lesions, melanomas, malignant, absent: sizes, and the classes without an image.
        - accuracy; balanced_accuracy, the mean sensitivity of the classes that have images.
        - RATES: of the prediction mel against any other, and of a malignant class against a benign one.

        Rates are None if nothing can be counted. The intervals have the same keys as the rates.
    """
    true, said = np.isin(labels, _MALIGNANT), np.isin(predicted, _MALIGNANT)
    mel, said_mel = labels == MELANOMA, predicted == MELANOMA
    rates = {
        "accuracy": _rate(predicted == labels, lesions, np.ones(len(labels), dtype=bool)),
        "melanoma_sensitivity": _rate(said_mel, lesions, mel),
        "melanoma_specificity": _rate(~said_mel, lesions, ~mel),
        "malignant_sensitivity": _rate(said, lesions, true),
        "malignant_specificity": _rate(~said, lesions, ~true),
    }
    of_class = [_rate(predicted == number, lesions, labels == number) for number in range(len(DIAGNOSES))]
    present = [(value, interval) for value, interval in of_class if value is not None and interval is not None]
    rates["balanced_accuracy"] = mean_of_independent(present)
    metrics = {
        "images": len(labels),
        "lesions": _count(lesions),
        "melanomas": int(mel.sum()),
        "malignant": int(true.sum()),
        "absent": [name for name, (value, _) in zip(DIAGNOSES, of_class, strict=True) if value is None],
        **{name: value for name, (value, _) in rates.items()},
    }
    return metrics, {name: interval for name, (_, interval) in rates.items()}


def _rate(
    right: NDArray[np.bool_], lesions: NDArray[np.integer], among: NDArray[np.bool_]
) -> tuple[float | None, Interval]:
    """Return the fraction of images that are right, and its interval, with as many trials as lesions."""
    if not among.any():
        return None, None
    fraction = float(right[among].mean())
    return fraction, wilson(fraction, _count(lesions[among]))


def _count(lesions: NDArray[np.integer]) -> int:
    """Return how many different lesions there are. Their numbers are small, so this is 20 times np.unique."""
    return int(np.count_nonzero(np.bincount(lesions)))


def wilson(fraction: float, trials: int) -> list[float]:
    """Return the 95 % score interval of a proportion (Wilson, J. Am. Stat. Assoc. 22:209, 1927).

    As `metrics.wilson_interval`, for a fraction that need not be a whole number of successes.
    """
    centre = (fraction + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    half = Z / (1 + Z**2 / trials) * np.sqrt(fraction * (1 - fraction) / trials + Z**2 / (4 * trials**2))
    low, high = float(centre - half), float(centre + half)
    return [low if fraction > 0 else 0.0, high if fraction < 1 else 1.0]  # exactly, despite rounding


def mean_of_independent(rates: Sequence[tuple[float, list[float]]]) -> tuple[float | None, Interval]:
    """Return the mean of independent rates, and its interval from theirs.

    MOVER, the method of variance estimates recovery (Zou & Donner, Statistics in Medicine 27:1693, 2008): each
    end of the interval is as far from the mean as the root of the summed squares of the rates' own distances,
    divided by their number.
    """
    if not rates:
        return None, None
    values = np.array([value for value, _ in rates])
    ends = np.array([interval for _, interval in rates])
    mean = float(values.mean())
    down, up = np.sqrt(((values[:, None] - ends) ** 2).sum(axis=0)) / len(values)
    return mean, [max(0.0, mean - float(down)), min(1.0, mean + float(up))]
