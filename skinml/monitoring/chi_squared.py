"""Whether two histograms can be of one population: the chi-squared test of homogeneity, without SciPy.

A scoring driver has no SciPy: it adds 143 MB to an installation, and `scipy.stats` 0.7 CPU s and 61 MB to a
process. The tests hold these functions to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FEW = 5
"""Images in a bin below which the distribution of the statistic is not that of chi-squared any more (Cochran,
Biometrics 10:417, 1954)."""


def survival(statistic: float, freedom: int) -> float:
    """The chance that a chi-squared variable with so many degrees of freedom exceeds `statistic`.

    For whole degrees of freedom it is a finite sum: Abramowitz & Stegun, Handbook of Mathematical Functions
    (1964), 26.4.4 and 26.4.5. Without a degree of freedom nothing varies: 1.
    """
    if freedom == 0 or statistic <= 0:
        return 1.0
    half = statistic / 2
    chance = math.erfc(math.sqrt(half)) if freedom % 2 else 0.0
    for power in np.arange(freedom % 2 / 2, freedom / 2).tolist():
        chance += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
    return min(chance, 1.0)


def homogeneity(first: NDArray[np.integer], second: NDArray[np.integer]) -> tuple[float, float]:
    """Pearson's test that two samples, as counts (k,) in the same bins, are of one population.

    Bins should be pooled first (`pool`). Edges that are quantiles of one of the samples do no harm: both
    its spread about the population's quantiles and the other's enter, as 1/n + 1/m.

    Returns:
        The statistic, and the chance of one as large where the population is one.

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
    """The counts (k,) of two samples in as many bins as the test can be trusted with.

    A bin stands alone where the smaller sample has, or expects, FEW images in it; the others are put together.
    (By what is expected alone, as the textbook has it, 50 images that all lie where 5,000 others have none
    would be pooled with these and pass for them.)

    Args:
        first: counts of one sample.
        second: of the other, in the same bins.
        ordered: True: only neighbours are put together; False: the rarest bins are.

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
    """P-values of several tests, adjusted so that the chance of any false alarm stays below a level.

    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6:65 (1979). SciPy has
    no such function.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(sorted(chances, key=lambda name: chances[name])):
        largest = max(largest, min(1.0, chances[name] * (len(chances) - place)))
        adjusted[name] = largest
    return {name: adjusted[name] for name in chances}
