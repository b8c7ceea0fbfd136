"""Render one photograph of a lesion on skin: position, light, hairs, and the JPEG's bytes."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image

from skinml.lab.synth.frame import FRAME, UNIT
from skinml.lab.synth.texture import FloatMap, mix, noise, plane, smoothstep, to_image, wandering_lines

WIDTH, HEIGHT = 600, 450
QUALITY = 75
"""JPEG quality: about 24 kB an image."""

NOISE = 7
"""How much brighter a pixel may be than its neighbour by chance, in 1/128 of its value."""
_COARSE = (HEIGHT // 6, WIDTH // 6)  # light and tone change slowly: a sixth of the size is enough


def draw_skin(rng: np.random.Generator) -> Image.Image:
    """The skin around one lesion, RGB of 600x450 px: tone, mottling, fine lines, and sometimes vessels."""
    half = (HEIGHT // 2, WIDTH // 2)
    tone = mix((236, 202, 190), (198, 150, 124), rng.beta(1.1, 2.2)) + plane(
        (rng.normal(0.0, 5.0), 0.0, rng.normal(0.0, 6.0))
    )
    mottling = noise(rng, half, rng.uniform(5, 12), 3) * rng.uniform(0.01, 0.03)
    lines = np.abs(noise(rng, half, rng.uniform(50, 90))) * rng.uniform(0.0, 0.05)
    colour: FloatMap = tone * (1.02 + mottling - lines)
    redness = smoothstep(noise(rng, half, 4, 4) * 0.7) * rng.uniform(0.0, 0.4)
    colour = mix(colour, (224, 142, 136), redness)
    if rng.random() < 0.25:
        freckles = smoothstep(noise(rng, half, rng.uniform(12, 26), 2) * 0.5 - 0.45)
        colour = mix(colour, (176, 124, 92), freckles * rng.uniform(0.3, 0.8))
    if rng.random() < 0.3:
        count = int(rng.integers(4, 16))
        starts = rng.uniform((0, 0), (WIDTH // 2, HEIGHT // 2), (count, 2))
        headings = rng.uniform(0.0, 2 * np.pi, count)
        vessels = wandering_lines(
            rng, half, starts=starts, headings=headings, length=70.0, width=1.3, bend=0.35, branches=0.8
        )
        colour = mix(colour, (198, 96, 100), vessels * rng.uniform(0.2, 0.5))
    return to_image(colour).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)


def photograph(lesion: Image.Image, skin: Image.Image, hairiness: float, rng: np.random.Generator) -> bytes:
    """A JPEG of 600x450 px of this lesion on this skin, seen once: another rng is another photograph.

    Args:
        lesion: RGBA, FRAME x FRAME px, from `draw_lesion`.
        skin: RGB, 600x450 px, from `draw_skin`; turned and mirrored at random.
        hairiness: how many hairs are in the picture, on average.
        rng: where place, angle, scale, light and hairs come from.

    """
    picture = _turned_skin(skin, rng)
    _place(lesion, picture, rng)
    _comb_hairs(picture, rng.poisson(hairiness), rng)
    stream = io.BytesIO()
    _lit(picture, rng).save(stream, format="JPEG", quality=QUALITY)
    return stream.getvalue()


def _turned_skin(skin: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The same skin, upside down or mirrored or as it was."""
    turns = (
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.ROTATE_180,
    )
    turn = turns[int(rng.integers(len(turns)))]
    return skin.copy() if turn is None else skin.transpose(turn)


def _place(lesion: Image.Image, picture: Image.Image, rng: np.random.Generator) -> None:
    """Lay the lesion on the picture: any angle, radius 1 is 130 to 215 px, near the middle."""
    angle = rng.uniform(0.0, 2 * np.pi)
    zoom = rng.uniform(130.0, 215.0) / UNIT
    middle_x = WIDTH / 2 + rng.normal(0.0, 28.0)
    middle_y = HEIGHT / 2 + rng.normal(0.0, 20.0)
    rows, columns = np.nonzero(np.asarray(lesion.getchannel("A"))[::4, ::4])
    farthest = np.hypot(rows * 4 - FRAME / 2, columns * 4 - FRAME / 2).max(initial=0.0) + 4
    reach = zoom * farthest  # no more of the picture than this is touched: turning pixels is dear
    left, top = max(0, int(middle_x - reach)), max(0, int(middle_y - reach))
    right, bottom = min(WIDTH, int(middle_x + reach)), min(HEIGHT, int(middle_y + reach))
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    back_x, back_y = left - middle_x, top - middle_y
    # Pillow wants the way back: from a pixel of the picture to one of the lesion's frame.
    back = (
        *(cosine, sine, FRAME / 2 + cosine * back_x + sine * back_y),
        *(-sine, cosine, FRAME / 2 - sine * back_x + cosine * back_y),
    )
    placed = lesion.transform(
        (right - left, bottom - top),
        Image.Transform.AFFINE,
        tuple(map(float, back)),
        Image.Resampling.BILINEAR,
    )
    picture.paste(placed, (left, top), placed)


@cache
def _coarse_grid() -> tuple[FloatMap, FloatMap]:
    """The x and y of the light's grid, 1 at the middle of the right edge and 0.75 at the bottom's."""
    y, x = np.meshgrid(
        np.linspace(-0.75, 0.75, _COARSE[0], dtype=np.float32),
        np.linspace(-1.0, 1.0, _COARSE[1], dtype=np.float32),
        indexing="ij",
    )
    return x, y


def _lit(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture as the camera sees it: sloping light, a vignette, at times the lens's dark rim, and noise."""
    x, y = _coarse_grid()
    direction = rng.uniform(0.0, 2 * np.pi)
    slope = (x * np.cos(direction) + y * np.sin(direction)) * rng.uniform(0.0, 0.1)
    radius = np.hypot(x, y)
    light = rng.normal(1.0, 0.06) + slope - radius**2 * rng.uniform(0.02, 0.2)
    if rng.random() < 0.2:
        light = light * (1.0 - 0.93 * smoothstep((radius - rng.uniform(0.95, 1.12)) * 14.0))
    # Whole numbers, 128 for "as it is", since this is the one step at full size: half as dear as floats.
    # The bounds keep 255 times gain times cast within 16 bits.
    lamp = Image.fromarray(np.clip(light * 128.0, 0.0, 190.0).astype(np.uint8))
    gain = np.asarray(lamp.resize(picture.size, Image.Resampling.BICUBIC)).astype(np.uint16)
    gain += rng.integers(0, NOISE + 1, (HEIGHT, WIDTH), dtype=np.uint8)
    cast = rng.normal(128.0, (4.5, 1.3, 6.4))  # red, green, blue: never far to green
    factors = np.clip(np.rint(cast), 96, 160).astype(np.uint16)
    bands = []
    for band, factor in zip(picture.split(), factors, strict=True):
        seen = gain * factor
        seen >>= 7
        seen *= np.asarray(band)
        seen >>= 7
        bands.append(Image.fromarray(np.minimum(seen, 255, out=seen).astype(np.uint8)))
    return Image.merge("RGB", bands)


def _comb_hairs(picture: Image.Image, count: int, rng: np.random.Generator) -> None:
    """Draw this many hairs on the picture, most of them combed one way."""
    if count == 0:
        return
    starts = rng.uniform((0, 0), (WIDTH, HEIGHT), (count, 2))
    headings = rng.uniform(0.0, 2 * np.pi) + rng.normal(0.0, 0.6, count)
    lines = wandering_lines(
        rng,
        (HEIGHT, WIDTH),
        starts=starts,
        headings=headings,
        length=330.0,
        width=rng.uniform(1.0, 2.4),
        bend=0.09,
    )
    opacity = Image.fromarray((lines * (255 * rng.uniform(0.55, 0.9))).astype(np.uint8))
    shade = mix((52, 36, 32), (120, 84, 60), rng.random()).ravel().astype(int)
    picture.paste((int(shade[0]), int(shade[1]), int(shade[2])), mask=opacity)
