"""Building blocks of drawn skin: smooth noise, discs, random lines, a mesh, and colour mixing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

FloatMap = NDArray[np.floating]
"""float32: one number per pixel, (H, W), or a colour, (3, H, W) in 0 to 255: planes, as they mix fastest."""

SUPERSAMPLE = 2
"""Lines and discs are drawn this many times too large and averaged down: Pillow draws hard edges."""


def noise(rng: np.random.Generator, shape: tuple[int, int], bumps: float, octaves: int = 1) -> FloatMap:
    """Smooth noise (H, W), mean 0 and standard deviation about 0.8, `bumps` bumps along the longer edge.

    Every further octave adds bumps of half the size and half the height: cloudy instead of smooth.
    """
    height, width = shape
    cell = max(height, width) / bumps
    coarse = rng.standard_normal((round(height / cell) + 2, round(width / cell) + 2), dtype=np.float32)
    for octave in range(1, octaves):
        finer = (coarse.shape[0] * 2, coarse.shape[1] * 2)
        detail = rng.standard_normal(finer, dtype=np.float32)
        coarse = enlarge(coarse, finer) + detail * np.float32(0.5**octave)
    return enlarge(coarse, shape)


def enlarge(coarse: FloatMap, shape: tuple[int, int]) -> FloatMap:
    """A map (h, w) as a larger one (H, W), bicubic."""
    height, width = shape
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float32)


def smoothstep(values: FloatMap) -> FloatMap:
    """0 below 0, 1 above 1, and a smooth S between."""
    clipped = np.clip(values, 0.0, 1.0)
    return clipped * clipped * (3.0 - 2.0 * clipped)


def plane(colour: ArrayLike) -> FloatMap:
    """A colour (3,) as (3, 1, 1), so that it spreads over a picture; a picture stays as it is."""
    values = np.asarray(colour, dtype=np.float32)
    return values[:, None, None] if values.ndim == 1 else values


def mix(first: ArrayLike, second: ArrayLike, share: FloatMap | float) -> FloatMap:
    """From `first` (share 0) to `second` (share 1): colours (3,) or (3, H, W), share a number or (H, W)."""
    start = plane(first)
    return start + (plane(second) - start) * np.asarray(share, dtype=np.float32)


def to_image(planes: FloatMap) -> Image.Image:
    """Planes (3 or 4, H, W), 0 to 255, as an RGB or RGBA image; what lies beyond is cut off."""
    return Image.fromarray(
        np.ascontiguousarray(np.clip(planes, 0.0, 255.0).astype(np.uint8).transpose(1, 2, 0))
    )


def discs(shape: tuple[int, int], centres: NDArray[np.float64], radii: NDArray[np.float64]) -> FloatMap:
    """Filled discs as a map (H, W), 0 to 1: centres (n, 2) as x, y in px, radii (n,) in px."""
    canvas = _canvas(shape)
    draw = ImageDraw.Draw(canvas)
    boxes = np.concatenate([centres - radii[:, None], centres + radii[:, None]], axis=1) * SUPERSAMPLE
    for box in boxes.tolist():
        draw.ellipse(box, fill=255)
    return _averaged(canvas)


def wandering_lines(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    starts: NDArray[np.float64],
    headings: NDArray[np.float64],
    length: float,
    width: float,
    bend: float,
    branches: float = 0.0,
) -> FloatMap:
    """Lines that wander, thin out and may fork (hairs, vessels), as a map (H, W), 0 to 1.

    Args:
        rng: where chance comes from.
        shape: height and width of the map, px.
        starts: first points (n, 2), x and y in px.
        headings: first directions (n,), rad.
        length: how long a line is at most, px; each is between half of it and all of it.
        width: width at the start, px.
        bend: standard deviation of the change of direction from one of twelve steps to the next, rad.
        branches: how many forks a line has on average; a fork is half as long and thinner.

    """
    canvas = _canvas(shape)
    draw = ImageDraw.Draw(canvas)
    waiting = [
        (start, heading, length * rng.uniform(0.5, 1.0), width)
        for start, heading in zip(starts, headings.tolist(), strict=True)
    ]
    steps = 12
    while waiting:
        start, heading, reach, thick = waiting.pop()
        turns = heading + np.cumsum(rng.normal(0.0, bend, steps))
        moves = np.stack([np.cos(turns), np.sin(turns)], axis=1) * (reach / steps)
        points = start + np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)])
        flat = (points * SUPERSAMPLE).ravel().tolist()
        for step in range(0, steps, 3):  # thinner in four stages, as one line has one width
            taper = thick * (1.0 - 0.18 * step / 3)
            draw.line(flat[2 * step : 2 * step + 8], fill=255, width=max(1, round(taper * SUPERSAMPLE)))
        if thick > 0.5 and branches > 0.0:
            for _ in range(rng.poisson(branches)):
                at = int(rng.integers(2, steps))
                side = float(turns[at - 1] + rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0))
                waiting.append((points[at], side, reach * 0.5, thick * 0.6))
    return _averaged(canvas)


def mesh(rng: np.random.Generator, x: FloatMap, y: FloatMap, holes: float) -> FloatMap:
    """A pigment network (H, W), 1 on its lines and 0 in its holes: `holes` of them per unit of x and y."""
    shape = (x.shape[0], x.shape[1])
    turned = rng.uniform(0.0, np.pi / 3)
    bent_x = x + noise(rng, shape, 9) * (0.35 / holes)
    bent_y = y + noise(rng, shape, 9) * (0.35 / holes)
    total = np.zeros(shape, dtype=np.float32)
    for third in range(3):  # three waves at 60 degrees add up to a honeycomb
        angle = turned + third * np.pi / 3
        total += np.cos((bent_x * np.cos(angle) + bent_y * np.sin(angle)) * (2 * np.pi * holes))
    lines: FloatMap = np.clip((0.6 - total) / 1.6, 0.0, 1.0)
    return lines


def _canvas(shape: tuple[int, int]) -> Image.Image:
    return Image.new("L", (shape[1] * SUPERSAMPLE, shape[0] * SUPERSAMPLE))


def _averaged(canvas: Image.Image) -> FloatMap:
    return np.asarray(canvas.reduce(SUPERSAMPLE), dtype=np.float32) / np.float32(255)
