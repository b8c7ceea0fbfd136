"""Tests of skinml/images/resize.py: strips give the pixels that the whole gives, bit for bit."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from skinml.images import resize as module
from skinml.images.choices import Aspect
from skinml.images.resize import UPRIGHT, central_square, crop, resize, shrink, shrink_inks
from tests.effort import examples
from tests.hostile.make import picture

MODES = ("RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F")
SHAPES = st.one_of(
    st.tuples(st.integers(1, 130), st.integers(1, 130)),
    st.sampled_from([(400, 9), (9, 400), (300, 40), (40, 300), (64, 200), (200, 64), (32, 90), (33, 97)]),
)
"""Width and height: Pillow resizes columns first where the height shrinks by far more."""


def image_of(mode: str, width: int, height: int, seed: int) -> Image.Image:
    """Noise over gentle colours, in this mode."""
    noise = np.random.default_rng(seed).integers(-30, 30, (height, width, 3))
    image = Image.fromarray(np.clip(np.asarray(picture(width, height, seed)) + noise, 0, 255).astype(np.uint8))
    if mode in ("I;16", "I", "F"):
        grey = np.asarray(image.convert("L"))
        if mode == "F":
            return Image.fromarray(grey.astype(np.float32) / 255)
        return Image.fromarray(grey.astype(np.uint16) * 257 if mode == "I;16" else grey.astype(np.int32) * 200)
    if mode in ("RGBA", "LA"):
        image.putalpha(image.getchannel("G"))
    return image.convert(mode)


def in_strips(
    image: Image.Image, orientation: int, size: int, *, exact: bool, aspect: Aspect = "stretch"
) -> NDArray[np.uint8]:
    with patch.object(module, "WHOLE_PIXELS", 0), patch.object(module, "STRIP_PIXELS", 1_000):
        return shrink(image, orientation, size, exact=exact, aspect=aspect)


@settings(max_examples=examples(150), derandomize=True)
@given(
    st.sampled_from(MODES),
    SHAPES,
    st.integers(1, 8),
    st.sampled_from((8, 32, 33)),
    st.integers(0, 99),
    st.booleans(),
    st.sampled_from(("stretch", "crop")),
)
def test_strips_are_the_whole(
    mode: str, edges: tuple[int, int], orientation: int, size: int, seed: int, exact: bool, aspect: Aspect
) -> None:
    image = image_of(mode, *edges, seed)
    whole = shrink(image, orientation, size, exact=exact, aspect=aspect)
    assert np.array_equal(in_strips(image, orientation, size, exact=exact, aspect=aspect), whole)


@settings(max_examples=examples(60), derandomize=True)
@given(SHAPES, st.integers(1, 8), st.sampled_from((8, 32, 33)), st.integers(0, 99), st.booleans())
def test_a_crop_is_the_central_square_of_the_upright_image(
    edges: tuple[int, int], orientation: int, size: int, seed: int, whole: bool
) -> None:
    """By Pillow's crop of what Pillow turned, resized by Pillow."""
    image = image_of("RGB", *edges, seed)
    upright = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
    side = min(edges)
    left, top = (upright.width - side) // 2, (upright.height - side) // 2
    square = upright.crop((left, top, left + side, top + side))
    found = (shrink if whole else in_strips)(image, orientation, size, exact=True, aspect="crop")
    assert np.array_equal(found, np.asarray(square.resize((size, size))))
    fast = shrink(image, orientation, size, exact=False, aspect="crop")
    assert np.array_equal(fast, resize(np.asarray(square), size))


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_the_central_square_is_the_largest_and_in_the_middle(width: int, height: int) -> None:
    left, top, right, bottom = central_square(width, height)
    assert right - left == bottom - top == min(width, height)
    assert 0 <= (width - right) - left <= 1
    assert 0 <= (height - bottom) - top <= 1
    pixels = np.zeros((height % 50 + 1, width % 50 + 1, 3), np.uint8)
    assert crop(pixels, "stretch") is pixels
    assert crop(pixels, "crop").shape[:2] == (min(pixels.shape[:2]),) * 2


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_inks_are_cropped_where_their_colours_are(orientation: int) -> None:
    image = Image.new("CMYK", (300, 100), (0, 200, 0, 0))
    image.paste((200, 0, 0, 0), (100, 0, 200, 100))
    inks = np.asarray(shrink_inks(image, orientation, 16, "crop"))
    assert (inks[2:-2, 2:-2] == (200, 0, 0, 0)).all()
    assert (np.asarray(shrink_inks(image, orientation, 16))[8, 1] == (0, 200, 0, 0)).all() or orientation != 1


@settings(max_examples=examples(40), derandomize=True)
@given(SHAPES, st.sampled_from((8, 32, 33)), st.integers(0, 99))
def test_strips_are_what_pillow_makes_of_the_whole(edges: tuple[int, int], size: int, seed: int) -> None:
    image = image_of("RGB", *edges, seed)
    assert np.array_equal(in_strips(image, 1, size, exact=True), np.asarray(image.resize((size, size))))


@pytest.mark.parametrize("edges", [(2_500, 1_700), (1_700, 2_500), (64, 70_000), (70_000, 64)])
def test_a_large_array_is_resized_as_a_small_one_is(edges: tuple[int, int]) -> None:
    pixels = np.asarray(image_of("RGB", *edges, 1))
    assert pixels.shape[0] * pixels.shape[1] > module.WHOLE_PIXELS
    with patch.object(module, "WHOLE_PIXELS", 10**9):
        whole = resize(pixels, 64)
    assert np.array_equal(resize(pixels, 64), whole)
