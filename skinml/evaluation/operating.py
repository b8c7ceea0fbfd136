"""An operating threshold: from which p_malignant on an image is called malignant, chosen on validation images.

The predicted class is the likeliest of seven, which misses malignant lesions whose probability is spread over
akiec, bcc and mel. A threshold on their sum can be set for a sensitivity that somebody has to state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skinml.evaluation.bootstrap import AT_ONCE, RESAMPLES, draw, number_lesions, percentile_interval
from skinml.evaluation.intervals import expanded_level, interval_of
from skinml.labels import DIAGNOSES, MALIGNANT, malignant_probability

FEWEST_LESIONS = 20
"""Malignant validation lesions below which no threshold is chosen: for a sensitivity of 0.90 it would depend on
the two lowest of them. The house calls fewer than 20 of a kind few everywhere (`judgement.FEW_LESIONS`)."""

STEP = 1e-4
"""A threshold is rounded down to a multiple of this: four digits can be said, and nobody is lost by it."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Threshold:
    """A threshold on p_malignant. An image is called malignant if its p_malignant is at least this.

    Attributes:
        value: 0 to 1.
        interval: 95 %, from resampled lesions; each resample chooses its own.

    """

    value: float
    interval: Interval


@dataclass(frozen=True)
class Rates:
    """What a threshold does on images, as fractions of the images; None without an image of that kind.

    Attributes:
        sensitivity: of malignant images that are called so.
        specificity: of benign images that are not.
        sensitivity_interval, specificity_interval: 95 %, from resampled lesions.

    """

    sensitivity: float | None
    sensitivity_interval: Interval | None
    specificity: float | None
    specificity_interval: Interval | None


def is_malignant(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether a class number is akiec, bcc or mel, shape (n,)."""
    found: NDArray[np.bool_] = np.isin(labels, [DIAGNOSES.index(name) for name in MALIGNANT])
    return found


def malignant_lesions(labels: NDArray[np.integer], lesions: NDArray[np.integer]) -> int:
    """How many lesions have a malignant image."""
    return len(np.unique(lesions[is_malignant(labels)]))


def choose_threshold(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    lesions: NDArray[np.integer],
    sensitivity: float,
    *,
    seed: int,
) -> Threshold:
    """The highest threshold that finds this share of the malignant images.

    >>> import numpy as np
    >>> labels = np.repeat([4, 5], 10)  # mel, nv
    >>> malignant = np.concatenate([np.arange(1, 11) / 10, np.zeros(10)])
    >>> probabilities = np.zeros((20, 7))
    >>> probabilities[:, 4], probabilities[:, 5] = malignant, 1 - malignant
    >>> choose_threshold(labels, probabilities, np.arange(20), 0.90, seed=0).value
    0.2

    Args:
        labels: true class numbers, shape (n,), at least one of them malignant.
        probabilities: shape (n, 7).
        lesions: which lesion each image shows, shape (n,).
        sensitivity: above 0, at most 1.
        seed: of the resampling.

    """
    malignant = is_malignant(labels)
    scores = malignant_probability(probabilities)[malignant]
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    value = scores[_rank(np.ones((len(scores), 1)), sensitivity)[0]]
    numbers = number_lesions(lesions)
    of_images = numbers[malignant][order]
    at_once = max(1, AT_ONCE // len(labels))
    resampled = np.concatenate(
        [
            np.where(weights[of_images].sum(axis=0) > 0, scores[_rank(weights[of_images], sensitivity)], np.nan)
            for weights in draw(int(numbers.max()) + 1, at_once, seed=seed)
        ]
    )
    level = expanded_level(malignant_lesions(labels, lesions))
    low, high = percentile_interval(resampled, level) or (value, value)
    return Threshold(_rounded_down(float(value)), (_rounded_down(low), _rounded_down(high)))


def rates(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    lesions: NDArray[np.integer],
    threshold: float,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Rates:
    """Sensitivity and specificity of a fixed threshold, with intervals by lesion.

    Args:
        labels: true class numbers, shape (n,), n at least 1.
        probabilities: shape (n, 7).
        lesions: which lesion each image shows, shape (n,).
        threshold: on p_malignant.
        seed: of the resampling.
        resamples: how many.

    """
    malignant = is_malignant(labels)
    called = malignant_probability(probabilities) >= threshold
    numbers = number_lesions(lesions)
    count = int(numbers.max()) + 1
    kinds = (malignant & called, malignant, ~malignant & ~called, ~malignant)
    sums = np.stack([np.bincount(numbers, kind, count) for kind in kinds], axis=1)
    pieces = draw(count, AT_ONCE // count + 1, seed=seed, resamples=resamples)
    drawn = np.concatenate([sums.T @ weights.astype(np.float64) for weights in pieces], axis=1)
    found: list[tuple[float | None, Interval | None]] = []
    for part in (0, 2):
        hits, all_of_them = sums[:, part].sum(), sums[:, part + 1].sum()
        if not all_of_them:
            found.append((None, None))
            continue
        with np.errstate(invalid="ignore"):  # a resample without an image of this kind
            values = drawn[part] / drawn[part + 1]
        interval = interval_of(values, int((sums[:, part + 1] > 0).sum()))
        found.append((float(hits / all_of_them), None if interval is None else (interval[0], interval[1])))
    return Rates(*found[0], *found[1])


def _rank(weights: NDArray[np.floating], sensitivity: float) -> NDArray[np.int64]:
    """The place of the image at which so much of the weight is reached, for each column; 0 to n - 1."""
    reached = np.cumsum(weights, axis=0, dtype=np.float64)
    needed = np.ceil(sensitivity * reached[-1] - 1e-9)
    found: NDArray[np.int64] = np.minimum((reached < needed).sum(axis=0), len(weights) - 1)
    return found


def _rounded_down(value: float) -> float:
    return round(math.floor(value / STEP + 1e-6) * STEP, 4)
