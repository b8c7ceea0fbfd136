"""Count a run's images for its health: each worker counts its shard, the driver adds the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES
from skinml.monitoring.flags import count_flags
from skinml.monitoring.quantile_sketch import Sketch, sketch
from skinml.monitoring.reference import MEASURES, Measured, Usual, count_bins, count_classes


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts of some of a run's images; `a + b` merges two, and Tally() is empty. 5 to 20 kB.

    Attributes:
        images: number of images.
        counts: for each of MEASURES, int64, number of images in each bin of the reference.
        values: for each of MEASURES, a sketch of the values, for their median.
        predicted: int64 (7,), number of images predicted as each diagnosis.
        flags: number of images with each flag.

    """

    images: int = 0
    counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    values: dict[str, Sketch] = field(default_factory=dict)
    predicted: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(DIAGNOSES), np.int64))
    flags: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        if not self.images or not other.images:
            return self if self.images else other
        return Tally(
            images=self.images + other.images,
            counts={name: self.counts[name] + other.counts[name] for name in MEASURES},
            values={name: self.values[name] + other.values[name] for name in MEASURES},
            predicted=self.predicted + other.predicted,
            flags=self.flags + other.flags,
        )


def tally(usual: Usual, measured: Measured, flags: Iterable[str]) -> Tally:
    """Count images in the reference's bins, in a worker. `flags` is the result of `flag_images`."""
    if not len(measured.predicted):
        return Tally()
    values = {name: np.asarray(getattr(measured, name)) for name in MEASURES}
    return Tally(
        images=len(measured.predicted),
        counts={name: count_bins(usual.measures[name].edges, values[name]) for name in MEASURES},
        values={name: sketch(values[name]) for name in MEASURES},
        predicted=count_classes(measured.predicted),
        flags=count_flags(flags),
    )
