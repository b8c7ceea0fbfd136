"""The chi-squared test of homogeneity of two histograms, without SciPy.

The base install has no SciPy: it adds 143 MB to an installation, and `scipy.stats` adds 0.7 CPU s and 61 MB to
a process. The tests compare these functions with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FEW = 5
"""With fewer images in a bin, the statistic no longer follows the chi-squared distribution (Cochran, Biometrics
10:417, 1954)."""


def survival(statistic: float, freedom: int) -> float:
    """Return the probability that a chi-squared variable with `freedom` degrees of freedom exceeds `statistic`.

    For whole degrees of freedom it is a finite sum: Abramowitz & Stegun, Handbook of Mathematical Functions
    (1964), 26.4.4 and 26.4.5. With 0 degrees of freedom it is 1.
    """
    if freedom == 0 or statistic <= 0:
        return 1.0
    half = statistic / 2
    chance = math.erfc(math.sqrt(half)) if freedom % 2 else 0.0
    for power in np.arange(freedom % 2 / 2, freedom / 2).tolist():
        chance += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
    return min(chance, 1.0)


def homogeneity(first: NDArray[np.integer], second: NDArray[np.integer]) -> tuple[float, float]:
    """Test by Pearson's chi-squared whether two samples, as counts (k,) in the same bins, have one population.

    Pool the bins first (`pool`). The edges may be quantiles of one of the samples: the spread of both samples
    about the population's quantiles is included, as 1/n + 1/m.

    Returns:
        The statistic, and its p-value.

    """
    both = first + second
    first, second, both = first[both > 0], second[both > 0], both[both > 0]
    if len(both) < 2 or first.sum() == 0 or second.sum() == 0:
        return 0.0, 1.0
    statistic = 0.0
    for sample in (first, second):
        expected = both * (sample.sum() / both.sum())
        statistic += float(((sample - expected) ** 2 / expected).sum())
    return statistic, survival(statistic, len(both) - 1)


def pool(
    first: NDArray[np.integer], second: NDArray[np.integer], ordered: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Merge bins of two samples until each has enough images for the test.

    A bin is kept if the smaller sample has, or is expected to have, FEW images in it; the others are merged.
    (With the textbook's rule, by expected counts alone, 50 images in bins where 5,000 others have none would be
    merged with these and look alike.)

    Args:
        first: counts of one sample, (k,).
        second: counts of the other sample in the same bins, (k,).
        ordered: True merges only neighbouring bins, False merges the rarest bins.

    Returns:
        Both counts, in 1 to k bins.

    """
    both = first + second
    smaller = first if first.sum() <= second.sum() else second
    expected = both * (smaller.sum() / max(both.sum(), 1))
    order = np.arange(len(both)) if ordered else np.argsort(both, kind="stable")
    bins: list[list[int]] = [[]]
    for place in order.tolist():
        bins[-1].append(place)
        if max(smaller[bins[-1]].sum(), expected[bins[-1]].sum()) >= FEW:
            bins.append([])
    rest = bins.pop()
    if bins:
        bins[-1] += rest
    else:
        bins = [rest]
    return _summed(first, bins), _summed(second, bins)


def _summed(counts: NDArray[np.integer], bins: list[list[int]]) -> NDArray[np.int64]:
    return np.array([counts[places].sum() for places in bins], dtype=np.int64)


def holm(chances: Mapping[str, float]) -> dict[str, float]:
    """Adjust the p-values of several tests, so that the probability of any false alarm stays below a level.

    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6:65 (1979). SciPy has
    no such function.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(sorted(chances, key=lambda name: chances[name])):
        largest = max(largest, min(1.0, chances[name] * (len(chances) - place)))
        adjusted[name] = largest
    return {name: adjusted[name] for name in chances}
