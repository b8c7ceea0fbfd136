"""Find the images of a night that are furthest from what the model was tested on, and say by what."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skinml.monitoring.health import WORDS
from skinml.monitoring.reference import MEASURES, Distribution, Usual

TOP = 10
"""Images that are shown."""

BY_RATIO = ("sharpness", "megapixels")
"""Measures that are compared by their logarithms: twice as sharp is as far as half as sharp."""

ONE_SIDED = {"confidence": -1.0, "unlike_training": 1.0}
"""Measures that only one direction of makes an image unusual: little confidence, a large distance."""

SMALLEST = 1e-6
"""Smaller values count as this before their logarithm is taken."""

LEAST_HALF = {
    "brightness": 0.02,
    "sharpness": math.log(1.5),
    "megapixels": math.log(1.5),
    "confidence": 0.02,
    "unlike_training": 0.1,
}
"""The least half of a range, by measure. If all held-out images have one size, an image of another size would
otherwise be further away than anything else."""


@dataclass(frozen=True)
class Furthest:
    """An image that is far from the reference.

    Attributes:
        row: its position among the images.
        measure: of MEASURES, the one by which it is furthest.
        value: of that measure.
        usual: what four of five held-out images are within.
        distance: from their middle, in halves of that range: 1 is its edge.
    """

    row: int
    measure: str
    value: float
    usual: tuple[float, float]
    distance: float

    def in_words(self) -> str:
        """Measure, value and the usual range in one line."""
        low, high = self.usual
        return f"{WORDS[self.measure]} {self.value:.3g}; usual: {low:.3g} to {high:.3g}"


def distances(usual: Usual, values: Mapping[str, NDArray[np.floating]]) -> dict[str, NDArray[np.float64]]:
    """How far n images are from the middle of the reference, by measure; float64 (n,) each, at least 0.

    1 is the edge of the range that holds four of five held-out images, as far as the bins of the reference
    tell. An image without a value is at 0.

    Args:
        usual: the drift reference.
        values: of each of MEASURES, (n,).
    """
    found = {}
    for name in MEASURES:
        low, high = _range(usual.measures[name])
        ends = np.array([low, high])
        value = np.asarray(values[name], dtype=np.float64)
        if name in BY_RATIO:
            ends, value = (np.log(np.maximum(one, SMALLEST)) for one in (ends, value))
        if low == high:  # the reference has two bins: it knows no range
            found[name] = np.zeros(len(value))
            continue
        middle, half = ends.mean(), max((ends[1] - ends[0]) / 2, LEAST_HALF[name])
        away = (value - middle) / half
        away = np.maximum(away * ONE_SIDED[name], 0.0) if name in ONE_SIDED else np.abs(away)
        found[name] = np.nan_to_num(away, nan=0.0, posinf=np.finfo(np.float64).max)
    return found


def furthest(
    usual: Usual, values: Mapping[str, NDArray[np.floating]], drifted: Collection[str]
) -> tuple[NDArray[np.float64], NDArray[np.int64], tuple[str, ...]]:
    """The largest distance of each of n images, and the measure that it is of.

    Args:
        usual: the drift reference.
        values: of each of MEASURES, (n,).
        drifted: measures by which the night has drifted: only these are looked at, unless there are none.

    Returns:
        Distances, float64 (n,); positions, int64 (n,), in the third value, the names of the measures.
    """
    away = distances(usual, values)
    names = tuple(name for name in MEASURES if name in drifted) or MEASURES
    stacked = np.stack([away[name] for name in names], axis=1)
    return stacked.max(axis=1, initial=0.0), stacked.argmax(axis=1), names


def most_drifted(
    usual: Usual, values: Mapping[str, NDArray[np.floating]], drifted: Collection[str], top: int = TOP
) -> list[Furthest]:
    """The images that are furthest from the reference, the furthest first; none that is within all ranges.

    Args:
        usual: the drift reference.
        values: of each of MEASURES, (n,).
        drifted: as in `furthest`.
        top: at most so many.
    """
    distance, measure, names = furthest(usual, values, drifted)
    found = []
    for row in np.argsort(-distance, kind="stable")[:top].tolist():
        if distance[row] <= 1.0:
            break
        name = names[measure[row]]
        reference = _range(usual.measures[name])
        found.append(Furthest(row, name, float(values[name][row]), reference, float(distance[row])))
    return found


def _range(distribution: Distribution) -> tuple[float, float]:
    """The edges next to the lowest and the highest tenth of the held-out images."""
    shares = np.cumsum(distribution.counts) / sum(distribution.counts)
    edges = distribution.edges
    low = int(np.searchsorted(shares, 0.1 - 1e-9))
    high = int(np.searchsorted(shares, 0.9 - 1e-9))
    return edges[min(low, len(edges) - 1)], edges[min(high, len(edges) - 1)]
