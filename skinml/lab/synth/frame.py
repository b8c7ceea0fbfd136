"""Draw the shape of a lesion in a square frame: its outline, its border, and scattered dots and vessels."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skinml.lab.synth.texture import FloatMap, discs, noise, plane, smoothstep, wandering_lines

FRAME = 256
"""Edge of the frame, px."""
UNIT = 106
"""Pixels per unit: a lesion of radius 1 nearly touches the frame's edge."""
SHAPE = (FRAME, FRAME)


@cache
def grid() -> tuple[FloatMap, FloatMap]:
    """The x and y of every pixel of the frame, units, 0 in the middle, each (FRAME, FRAME)."""
    axis = ((np.arange(FRAME) - (FRAME - 1) / 2) / UNIT).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


@cache
def _degrees() -> NDArray[np.intp]:
    """The direction of every pixel of the frame from its middle, whole degrees 0 to 359, (FRAME, FRAME)."""
    x, y = grid()
    return np.rint(np.degrees(np.arctan2(y, x))).astype(np.intp) % 360


@cache
def fade() -> FloatMap:
    """1, and 0 on the frame's edge: a lesion that reached it would be cut off straight, (FRAME, FRAME)."""
    x, y = grid()
    return smoothstep((1.19 - np.maximum(np.abs(x), np.abs(y))) / 0.12)


def outline_depth(
    rng: np.random.Generator, radius: float, stretch: float, lobes: float, ragged: float
) -> FloatMap:
    """How deep in the lesion each pixel lies: 1 in the middle, 0 on the border, negative outside.

    Args:
        rng: where the outline comes from.
        radius: mean radius, units.
        stretch: long axis by short axis.
        lobes: standard deviation of the outline's bulges, as a share of the radius.
        ragged: standard deviation of the border's fine raggedness, as a share of the radius.

    """
    x, y = grid()
    degrees = np.arange(360)
    outline = np.ones(360)
    for waves in range(1, 7):
        size = rng.normal(0.0, lobes / waves**0.5)
        outline += size * np.cos(np.radians(degrees * waves + rng.uniform(0.0, 360.0)))
    edge = np.maximum(outline, 0.35).astype(np.float32)[_degrees()]
    distance = np.hypot(x * np.float32(stretch**-0.5), y * np.float32(stretch**0.5))
    inside: FloatMap = 1.0 - distance / (radius * edge)
    return inside + noise(rng, SHAPE, 18, 3) * np.float32(ragged)


def border_opacity(depth: FloatMap, softness: float) -> FloatMap:
    """Opacity that rises from 0 to 1 across the border, over `softness` of the radius."""
    return smoothstep(depth / np.float32(softness) + 0.5)


def jittered(rng: np.random.Generator, colour: ArrayLike, spread: float = 4.0) -> FloatMap:
    """A colour near this one, (3, 1, 1): lighter or darker, redder or yellower, but never green."""
    warmth = np.array([[[rng.normal(0.0, spread)]], [[0.0]], [[rng.normal(0.0, spread)]]], dtype=np.float32)
    return plane(colour) * np.float32(rng.normal(1.0, 0.08)) + warmth


def _within(
    rng: np.random.Generator, depth: FloatMap, count: int, low: float, high: float
) -> NDArray[np.float64]:
    """Up to `count` places (n, 2), x and y in px, where depth is between low and high."""
    rows, columns = np.nonzero((depth > low) & (depth < high))
    if len(rows) == 0:
        return np.empty((0, 2))
    chosen = rng.integers(0, len(rows), count)
    return np.stack([columns[chosen], rows[chosen]], axis=1).astype(np.float64)


def strew_dots(
    rng: np.random.Generator,
    depth: FloatMap,
    count: int,
    size: tuple[float, float],
    between: tuple[float, float] = (0.05, 2.0),
) -> FloatMap:
    """Discs of radius `size` (from, to; px) strewn where depth is `between` these, (FRAME, FRAME), 0 to 1."""
    centres = _within(rng, depth, count, *between)
    return discs(SHAPE, centres, rng.uniform(*size, len(centres)))


def grow_vessels(rng: np.random.Generator, depth: FloatMap, count: int, width: float) -> FloatMap:
    """Forking vessels that start near the border and run anywhere, (FRAME, FRAME), 0 to 1: width in px."""
    starts = _within(rng, depth, count, -0.05, 0.4)
    headings = rng.uniform(0.0, 2 * np.pi, len(starts))
    return wandering_lines(
        rng, SHAPE, starts=starts, headings=headings, length=130.0, width=width, bend=0.35, branches=1.3
    )
