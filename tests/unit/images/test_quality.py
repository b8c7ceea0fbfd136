"""Tests of skinml/images/quality.py."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from skinml.images.quality import brightness, luminance, sharpness


def filled(*colour: int) -> NDArray[np.uint8]:
    return np.full((8, 8, 3), colour, dtype=np.uint8)


@pytest.mark.parametrize(
    ("colour", "level"),
    [((0, 0, 0), 0), ((255, 255, 255), 1), ((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114)],
)
def test_luminance_and_brightness_are_those_of_jpeg(colour: tuple[int, int, int], level: float) -> None:
    light = luminance(filled(*colour))
    assert light.shape == (8, 8)
    assert light.dtype == np.float32
    assert light[3, 3] == pytest.approx(level, abs=1e-6)
    assert brightness(light) == pytest.approx(level, abs=1e-6)


def test_an_even_image_has_no_sharpness() -> None:
    assert sharpness(luminance(filled(90, 20, 200))) == pytest.approx(0, abs=1e-6)
    ramp = np.repeat(np.arange(0, 250, 10, dtype=np.uint8)[:, None, None], 3, axis=2).repeat(25, axis=1)
    assert sharpness(luminance(ramp)) == pytest.approx(0, abs=1e-3), "an even slope has no edges"


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    laplacian = [
        grey[y - 1, x] + grey[y + 1, x] + grey[y, x - 1] + grey[y, x + 1] - 4 * grey[y, x]
        for y in range(1, 11)
        for x in range(1, 8)
    ]
    assert sharpness(luminance(pixels)) == pytest.approx(np.var(laplacian), rel=1e-4)


def test_blur_takes_sharpness_away_and_leaves_brightness() -> None:
    sharp = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    images = [sharp, *(sharp.filter(ImageFilter.GaussianBlur(radius)) for radius in (1, 2, 4))]
    lights = [luminance(np.asarray(image)) for image in images]
    values = [sharpness(light) for light in lights]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[1]
    assert [brightness(light) for light in lights] == pytest.approx([brightness(lights[0])] * 4, abs=0.01)
