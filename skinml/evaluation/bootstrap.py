"""Resample lesions: how often each is drawn in each of 2,000 resamples, and the interval that comes of it.

Lesions are drawn, not images, because images of one lesion are not independent of each other. They are drawn
from all classes together, as a test set is: drawing within classes covers less (docs/benchmarks.md). The gate
alone draws within classes, because it compares two models on one test set, whose composition both share.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

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


def draw(lesions: int, at_once: int, *, seed: int, resamples: int = RESAMPLES) -> Iterator[Weights]:
    """How often each lesion is drawn, in pieces of shape (lesions, up to `at_once`).

    Args:
        lesions: how many there are; as many are drawn, with replacement.
        at_once: columns of a piece. It does not change the draws.
        seed: the same seed gives the same draws.
        resamples: how many.

    """
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, at_once):
        columns = min(at_once, resamples - start)
        drawn = generator.integers(0, lesions, (columns, lesions)) + lesions * np.arange(columns)[:, None]
        times = np.bincount(drawn.ravel(), minlength=columns * lesions)
        yield np.ascontiguousarray(times.reshape(columns, lesions).T, np.float32)


def draw_within(
    strata: NDArray[np.integer], at_once: int, *, seed: int, resamples: int = RESAMPLES
) -> Iterator[Weights]:
    """Like `draw`, but from each stratum as many lesions as it has, so that none is ever absent.

    >>> import numpy as np
    >>> [weights] = draw_within(np.array([1, 0, 1]), 5, seed=0, resamples=4)
    >>> weights[1].tolist(), weights[[0, 2]].sum(axis=0).tolist()
    ([1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0])

    Args:
        strata: the stratum of each lesion, shape (lesions,), 0 and up.
        at_once: columns of a piece. It does not change the draws.
        seed: the same seed gives the same draws.
        resamples: how many.

    """
    lesions = len(strata)
    order = np.argsort(strata, kind="stable")
    counts = np.bincount(strata)
    size, start = counts[strata[order]], (np.cumsum(counts) - counts)[strata[order]]
    generator = np.random.default_rng(seed)
    for first in range(0, resamples, at_once):
        columns = min(at_once, resamples - first)
        places = start + (generator.random((columns, lesions)) * size).astype(np.int64)
        drawn = order[places] + lesions * np.arange(columns)[:, None]
        times = np.bincount(drawn.ravel(), minlength=columns * lesions)
        yield np.ascontiguousarray(times.reshape(columns, lesions).T, np.float32)


def resample(
    several: Sequence[Predictions],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    ranked: Collection[str] | None = None,
) -> list[Figures]:
    """Every figure in each resample, for several predictions of the same images: paired, on the same draws.

    `ranked` is that of `weighted.figures`.
    """
    at_once = max(1, AT_ONCE // len(several[0].labels))
    pieces: list[list[Figures]] = [[] for _ in several]
    for weights in draw(len(several[0].sums), at_once, seed=seed, resamples=resamples):
        for parts, predictions in zip(pieces, several, strict=True):
            parts.append(figures(predictions, weights, ranked))
    return [{name: np.concatenate([part[name] for part in parts]) for name in parts[0]} for parts in pieces]


def percentile_interval(values: Values, level: float = LEVEL) -> tuple[float, float] | None:
    """The percentile interval (Efron & Tibshirani, 1993, section 13.3) of a resampled figure.

    Args:
        values: shape (resamples,); NaN if the figure is undefined in a resample, which is left out.
        level: of the interval; a higher one than is wanted if few lesions are behind it.

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
