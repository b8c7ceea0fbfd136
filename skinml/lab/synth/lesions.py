"""Draw one lesion of each diagnosis, as an RGBA image from which photographs are made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skinml.lab.synth.frame import (
    FRAME,
    SHAPE,
    border_opacity,
    fade,
    grid,
    grow_vessels,
    jittered,
    outline_depth,
    strew_dots,
)
from skinml.lab.synth.texture import FloatMap, mesh, mix, noise, smoothstep, to_image

Painted = tuple[FloatMap, FloatMap]
"""Colour (3, FRAME, FRAME), 0 to 255, and opacity (FRAME, FRAME), 0 to 1."""


def draw_lesion(diagnosis: str, rng: np.random.Generator) -> Image.Image:
    """A lesion as an RGBA image of FRAME x FRAME px: its colour, and how much of the skin it hides.

    Args:
        diagnosis: one of `skinml.labels.DIAGNOSES`.
        rng: where this lesion's shape, colours and structures come from.

    Raises:
        KeyError: the diagnosis is not one of the seven.

    """
    colour, opacity = _PAINTERS[diagnosis](rng)
    colour = colour * (1.0 + noise(rng, SHAPE, 40, 2) * 0.05)
    drawn = np.asarray(to_image(np.concatenate([colour, (opacity * fade())[None] * 255.0])))
    return Image.fromarray(_warped(rng, drawn))


def _warped(rng: np.random.Generator, drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same picture, every pixel fetched from nearby: no disc stays round and no mesh regular."""
    rows, columns = np.indices(SHAPE, dtype=np.float32, sparse=True)
    rows = np.clip(rows + noise(rng, SHAPE, 12, 2) * 2.2, 0.0, FRAME - 1.0)
    columns = np.clip(columns + noise(rng, SHAPE, 12, 2) * 2.2, 0.0, FRAME - 1.0)
    source = rows.astype(np.int32) * FRAME + columns.astype(np.int32)
    pixels = np.ascontiguousarray(drawn).view(np.uint32).ravel()  # four bytes fetched as one number
    return np.take(pixels, source).view(np.uint8).reshape(FRAME, FRAME, 4)


def _naevus(rng: np.random.Generator) -> Painted:
    """An even brown oval with a pigment network, darker or lighter in the middle."""
    x, y = grid()
    odd = rng.random() < 0.2  # a dysplastic one: the class that melanoma is taken for
    depth = outline_depth(
        rng,
        radius=rng.uniform(0.42, 0.78),
        stretch=rng.uniform(1.0, 1.5),
        lobes=rng.uniform(0.09, 0.16) if odd else rng.uniform(0.02, 0.07),
        ragged=rng.uniform(0.02, 0.05),
    )
    base = jittered(rng, mix((180, 114, 86), (92, 52, 42), rng.beta(1.6, 2.0)))
    colour = mix(base, jittered(rng, base * 0.72), smoothstep(depth * rng.uniform(0.2, 1.1)))
    if odd:
        colour = mix(colour, jittered(rng, base * 0.6), smoothstep(noise(rng, SHAPE, 4, 3) * 0.8))
    lines = mesh(rng, x, y, rng.uniform(9.0, 15.0)) * np.clip(1.2 - depth, 0.0, 1.0)
    colour = colour * (1.06 - lines * rng.uniform(0.05, 0.3) + noise(rng, SHAPE, 12) * 0.04)
    if rng.random() < 0.35:
        globules = strew_dots(rng, depth, int(rng.integers(15, 60)), (1.5, 3.5))
        colour = mix(colour, base * 0.6, globules * 0.6)
    return colour, border_opacity(depth, rng.uniform(0.15, 0.45)) * rng.uniform(0.75, 0.97)


def _melanoma(rng: np.random.Generator) -> Painted:
    """Dark, asymmetric, in several colours, with a blue-grey veil, dots and streaks at a ragged border."""
    x, y = grid()
    plain = rng.random() < 0.2  # an early one, that could be a naevus
    depth = outline_depth(
        rng,
        radius=rng.uniform(0.5, 0.88),
        stretch=rng.uniform(1.0, 1.6),
        lobes=rng.uniform(0.05, 0.1) if plain else rng.uniform(0.12, 0.22),
        ragged=rng.uniform(0.04, 0.1),
    )
    brown = jittered(rng, mix((138, 92, 66), (80, 50, 40), rng.random()))
    colour = mix(brown, jittered(rng, (46, 32, 32)), smoothstep(noise(rng, SHAPE, 4, 3) * 0.45 + 0.45))
    colour = mix(colour, jittered(rng, (160, 92, 78)), smoothstep(noise(rng, SHAPE, 5, 3) * 0.6 - 0.2))
    veil = smoothstep(noise(rng, SHAPE, 3.5, 3) * 0.7 - (0.8 if plain else rng.uniform(0.0, 0.4)))
    colour = mix(colour, jittered(rng, (108, 110, 130)), veil * smoothstep(depth * 4.0) * 0.8)
    lines = mesh(rng, x, y, rng.uniform(8.0, 13.0)) * (1.0 - veil)
    colour = colour * (1.05 - lines * rng.uniform(0.05, 0.35))
    dots = strew_dots(rng, depth, int(rng.integers(5, 40)), (1.5, 4.5), (-0.1, 0.3))
    colour = mix(colour, (34, 24, 26), dots * 0.85)
    opacity = np.maximum(border_opacity(depth, rng.uniform(0.08, 0.3)), dots * 0.8)
    if not plain and rng.random() < 0.4:
        scar = smoothstep(noise(rng, SHAPE, 4, 3) * 1.5 - 1.5) * smoothstep(depth * 3.0)
        colour = mix(colour, jittered(rng, (212, 178, 172)), scar * 0.9)
    return colour, opacity * rng.uniform(0.9, 1.0)


def _benign_keratosis(rng: np.random.Generator) -> Painted:
    """Tan and waxy with a sharp moth-eaten border, ridges, pale milia-like cysts and dark openings."""
    depth = outline_depth(
        rng,
        radius=rng.uniform(0.5, 0.85),
        stretch=rng.uniform(1.0, 1.7),
        lobes=rng.uniform(0.05, 0.12),
        ragged=rng.uniform(0.05, 0.12),
    )
    base = jittered(rng, mix((204, 150, 106), (130, 94, 78), rng.beta(1.2, 1.6)))
    ridges = smoothstep(np.abs(noise(rng, SHAPE, rng.uniform(14, 26))) * 1.8)
    colour = mix(base * 0.76, base * 1.05, ridges)
    colour = mix(colour, jittered(rng, base * 0.7), smoothstep(noise(rng, SHAPE, 5, 3) * 0.9 - 0.3))
    cysts = strew_dots(rng, depth, int(rng.integers(6, 45)), (1.8, 4.5))
    colour = mix(colour, jittered(rng, (238, 218, 178)), cysts * rng.uniform(0.6, 0.95))
    openings = strew_dots(rng, depth, int(rng.integers(0, 25)), (2.0, 4.5))
    colour = mix(colour, jittered(rng, (70, 46, 36)), openings * 0.8)
    return colour, border_opacity(depth, rng.uniform(0.05, 0.18)) * rng.uniform(0.6, 0.97)


def _basal_cell(rng: np.random.Generator) -> Painted:
    """Pink and translucent, with branching red vessels and blue-grey ovoid nests."""
    depth = outline_depth(
        rng,
        radius=rng.uniform(0.5, 0.85),
        stretch=rng.uniform(1.0, 1.5),
        lobes=rng.uniform(0.06, 0.14),
        ragged=rng.uniform(0.03, 0.08),
    )
    base = jittered(rng, mix((224, 160, 152), (202, 124, 118), rng.random()))
    colour = mix(base, (238, 208, 200), smoothstep(noise(rng, SHAPE, 6, 3) * 0.9 - 0.2) * 0.7)
    opacity = border_opacity(depth, rng.uniform(0.25, 0.6)) * rng.uniform(0.55, 0.9)
    vessels = grow_vessels(rng, depth, int(rng.integers(4, 11)), rng.uniform(1.6, 2.8))
    colour = mix(colour, jittered(rng, (172, 48, 54)), vessels * 0.8)
    clumped = np.where(noise(rng, SHAPE, 4) > 0.3, depth, -1.0).astype(np.float32)
    nests = strew_dots(rng, clumped, int(rng.integers(3, 30)), (1.5, 4.5), (0.0, 0.7))
    nests = np.maximum(nests, strew_dots(rng, clumped, int(rng.integers(1, 6)), (5.0, 15.0), (0.0, 0.7)))
    rough = nests * smoothstep(noise(rng, SHAPE, 25, 3) * 0.6 + 0.9)
    colour = mix(colour, jittered(rng, (98, 98, 118)), rough * rng.uniform(0.6, 0.95))
    if rng.random() < 0.35:
        sore = strew_dots(rng, depth, int(rng.integers(1, 3)), (10.0, 24.0), (0.4, 2.0))
        colour = mix(
            colour, jittered(rng, (124, 44, 38)), sore * smoothstep(noise(rng, SHAPE, 12, 3) * 0.5 + 0.6)
        )
    return colour, np.maximum(opacity, np.maximum(vessels * 0.6, nests * 0.8))


def _actinic_keratosis(rng: np.random.Generator) -> Painted:
    """Pink-red without a clear border, covered by yellow-white scale, with red dots between."""
    depth = outline_depth(
        rng,
        radius=rng.uniform(0.5, 0.9),
        stretch=rng.uniform(1.0, 1.6),
        lobes=rng.uniform(0.08, 0.18),
        ragged=rng.uniform(0.08, 0.16),
    )
    base = jittered(rng, mix((214, 122, 104), (176, 92, 76), rng.random()))
    colour = mix(base, jittered(rng, (168, 112, 76)), smoothstep(noise(rng, SHAPE, 5, 3) * 0.9 - 0.2))
    dots = strew_dots(rng, depth, int(rng.integers(60, 220)), (1.2, 2.2))
    colour = mix(colour, jittered(rng, (150, 40, 44)), dots * rng.uniform(0.3, 0.7))
    flakes = smoothstep(noise(rng, SHAPE, 34, 2) * 0.8 + noise(rng, SHAPE, 7, 2) * 0.5 - rng.uniform(0.2, 0.8))
    scale = flakes * smoothstep(depth * 3.0)
    colour = mix(colour, jittered(rng, (240, 222, 190)), scale * rng.uniform(0.6, 0.95))
    if rng.random() < 0.35:
        crust = smoothstep(noise(rng, SHAPE, 9, 4) * 1.6 - 1.6) * smoothstep(depth * 3.0)
        colour = mix(colour, jittered(rng, (110, 62, 40)), crust * 0.9)
    return colour, border_opacity(depth, rng.uniform(0.35, 0.7)) * rng.uniform(0.65, 0.95)


def _dermatofibroma(rng: np.random.Generator) -> Painted:
    """A white scar-like centre in a light brown ring with a fine network, round and soft."""
    x, y = grid()
    depth = outline_depth(
        rng,
        radius=rng.uniform(0.5, 0.82),
        stretch=rng.uniform(1.0, 1.25),
        lobes=rng.uniform(0.02, 0.07),
        ragged=rng.uniform(0.04, 0.08),
    )
    base = jittered(rng, mix((192, 138, 112), (148, 98, 80), rng.random()))
    lines = mesh(rng, x, y, rng.uniform(10.0, 15.0))
    colour = base * (1.05 - lines * rng.uniform(0.05, 0.25) + noise(rng, SHAPE, 8) * 0.05)
    heart = rng.uniform(0.35, 0.65)  # depth where the white centre begins
    scar = smoothstep((depth - heart) * 4.0 + 0.5 + noise(rng, SHAPE, 16) * 0.25)
    white = jittered(rng, mix((240, 222, 214), (222, 178, 180), rng.random()))
    colour = mix(colour, white, scar * rng.uniform(0.6, 0.95))
    return colour, border_opacity(depth, rng.uniform(0.4, 0.8)) * rng.uniform(0.7, 0.95)


def _vascular(rng: np.random.Generator) -> Painted:
    """Red to purple lacunae packed together, with a sharp border."""
    depth = outline_depth(
        rng,
        radius=rng.uniform(0.35, 0.75),
        stretch=rng.uniform(1.0, 1.5),
        lobes=rng.uniform(0.03, 0.09),
        ragged=rng.uniform(0.02, 0.06),
    )
    base = jittered(rng, mix((196, 82, 98), (122, 62, 104), rng.random()))
    deep = jittered(rng, mix((168, 18, 52), (74, 18, 62), rng.random()))
    colour = mix(base, base * 1.12, smoothstep(noise(rng, SHAPE, 8) * 0.6 + 0.5))
    for shade in (1.15, 1.0, 0.8):  # one layer of lacunae over another
        lacunae = strew_dots(rng, depth, int(rng.integers(10, 28)), (5.0, 14.0))
        colour = mix(colour, deep * shade, lacunae * rng.uniform(0.5, 0.9))
    if rng.random() < 0.25:
        clot = smoothstep(noise(rng, SHAPE, 5, 3) * 1.5 - 0.9)
        colour = mix(colour, (38, 18, 30), clot * 0.9)
    return colour, border_opacity(depth, rng.uniform(0.08, 0.25)) * rng.uniform(0.8, 0.98)


_PAINTERS: dict[str, Callable[[np.random.Generator], Painted]] = {
    "akiec": _actinic_keratosis,
    "bcc": _basal_cell,
    "bkl": _benign_keratosis,
    "df": _dermatofibroma,
    "mel": _melanoma,
    "nv": _naevus,
    "vasc": _vascular,
}
