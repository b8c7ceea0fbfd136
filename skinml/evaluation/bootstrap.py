"""Resample lesions: how often each is drawn in each of 2,000 resamples, and the interval that comes of it.

Lesions are drawn, not images, because images of one lesion are not independent of each other. They are drawn
within their class, as many as the class has, so that no resample lacks a class. docs/evaluation.md has the
coverage of the intervals, measured by `python -m benchmarks.coverage`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from skinml.evaluation.ranking import Values, Weights
from skinml.evaluation.weighted import Figures, Name, Predictions, figures

RESAMPLES = 2000
"""Enough for percentiles of 95 %: Efron & Tibshirani (1993, chapter 13) ask for 1,000 or more."""

LEVEL = 0.95

AT_ONCE = 1_000_000
"""Weights of images that are held at once: 30 MB with everything that is made of them."""


def number_lesions(lesions: Sequence[str] | NDArray[np.integer]) -> NDArray[np.int64]:
    """A number for each lesion, 0 to k - 1, in place of its name; shape (n,)."""
    return np.unique(np.asarray(lesions), return_inverse=True)[1].astype(np.int64)


def classes_of_lesions(labels: NDArray[np.int64], lesions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class of each lesion, shape (k,): that of its first image."""
    first = np.unique(lesions, return_index=True)[1]
    return labels[first]


def draw(
    strata: NDArray[np.int64], at_once: int, *, seed: int, resamples: int = RESAMPLES
) -> Iterator[Weights]:
    """How often each lesion is drawn, in pieces of shape (k, up to `at_once`), `resamples` columns in all.

    Args:
        strata: a number for each of k lesions; lesions are drawn with replacement within each number.
        at_once: columns of a piece. Another value gives other draws.
        seed: the same seed gives the same draws.
        resamples: how many.

    """
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    for start in range(0, resamples, at_once):
        columns = min(at_once, resamples - start)
        weights = np.zeros((len(strata), columns), np.float32)
        for of_stratum in members:
            count = len(of_stratum)
            drawn = generator.integers(0, count, (columns, count)) + count * np.arange(columns)[:, None]
            times = np.bincount(drawn.ravel(), minlength=columns * count)
            weights[of_stratum] = times.reshape(columns, count).T
        yield weights


def resample(
    several: Sequence[Predictions], strata: NDArray[np.int64], *, seed: int, resamples: int = RESAMPLES
) -> list[Figures]:
    """Every figure in each resample, for several predictions of the same images: paired, on the same draws."""
    at_once = max(1, AT_ONCE // len(several[0].labels))
    pieces: list[list[Figures]] = [[] for _ in several]
    for weights in draw(strata, at_once, seed=seed, resamples=resamples):
        for parts, predictions in zip(pieces, several, strict=True):
            parts.append(figures(predictions, weights))
    return [{name: np.concatenate([part[name] for part in parts]) for name in parts[0]} for parts in pieces]


def percentile_interval(values: Values, level: float = LEVEL) -> tuple[float, float] | None:
    """The percentile interval (Efron & Tibshirani, 1993, section 13.3) of a resampled figure.

    Args:
        values: shape (resamples,); NaN if the figure is undefined in a resample, which is left out.
        level: of the interval.

    Returns:
        Low and high; None if fewer than half of the resamples define the figure.

    """
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def nest(flat: Mapping[Name, object]) -> dict[str, object]:
    """Figures by name as metrics are nested: ("per_class", "mel", "auc") below per_class and mel.

    >>> nest({("accuracy",): 1, ("per_class", "mel", "auc"): 2})
    {'accuracy': 1, 'per_class': {'mel': {'auc': 2}}}
    """
    nested: dict[str, object] = {}
    for name, value in flat.items():
        place = nested
        for part in name[:-1]:
            place = place.setdefault(part, {})  # type: ignore[assignment]
        place[name[-1]] = value
    return nested
