"""The checks that all benchmarks share: the sample that is compared, and its exact pixels."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EQUAL_DB = 99.0
"""Stands for equal pixels, whose peak signal-to-noise ratio is infinite."""

Pixels = NDArray[np.uint8]


class OutputError(RuntimeError):
    """A system's output is missing, incomplete or wrong."""


def sample(count: int, most: int) -> list[int]:
    """At most so many of `count` positions, evenly spread, with the first and the last."""
    return [int(position) for position in np.unique(np.linspace(0, count - 1, most).astype(int))]


@functools.lru_cache(maxsize=4096)
def exact(path: Path, size: int) -> Pixels:
    """What Pillow makes of a file, full decode and its default filter: uint8 (size, size, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size)))


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio, dB: 10 log10(255^2 / mean squared error); EQUAL_DB at most."""
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return EQUAL_DB if error == 0 else min(EQUAL_DB, 10 * float(np.log10(255**2 / error)))
