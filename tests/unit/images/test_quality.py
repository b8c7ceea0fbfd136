"""Tests of skinml/images/quality.py."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from skinml.images.quality import Quality, brightness, contrast, luminance, measure, sharpness


def filled(*colour: int) -> NDArray[np.uint8]:
    """One image."""
    return np.full((1, 8, 8, 3), colour, dtype=np.uint8)


@pytest.mark.parametrize(
    ("colour", "level"),
    [((0, 0, 0), 0), ((255, 255, 255), 1), ((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114)],
)
def test_luminance_and_brightness_are_those_of_jpeg(colour: tuple[int, int, int], level: float) -> None:
    light = luminance(filled(*colour))
    assert light.shape == (1, 8, 8)
    assert light.dtype == np.float32
    assert light[0, 3, 3] == pytest.approx(level, abs=1e-6)
    assert brightness(light) == pytest.approx(level, abs=1e-6)


def test_an_even_image_has_no_sharpness() -> None:
    assert sharpness(luminance(filled(90, 20, 200))) == pytest.approx(0, abs=1e-6)
    ramp = np.repeat(np.arange(0, 250, 10, dtype=np.uint8)[:, None, None], 3, axis=2).repeat(25, axis=1)
    assert sharpness(luminance(ramp[None])) == pytest.approx(0, abs=1e-3), "an even slope has no edges"


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    laplacian = [
        grey[y - 1, x] + grey[y + 1, x] + grey[y, x - 1] + grey[y, x + 1] - 4 * grey[y, x]
        for y in range(1, 11)
        for x in range(1, 8)
    ]
    assert sharpness(luminance(pixels[None])) == pytest.approx(np.var(laplacian), rel=1e-4)


def test_blur_takes_sharpness_away_and_leaves_brightness() -> None:
    sharp = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    images = [sharp, *(sharp.filter(ImageFilter.GaussianBlur(radius)) for radius in (1, 2, 4))]
    quality = measure(np.stack([np.asarray(image) for image in images]))
    for values in (quality.sharpness.tolist(), quality.contrast.tolist()):
        assert values == sorted(values, reverse=True)
    assert quality.sharpness[0] > 10 * quality.sharpness[1]
    assert quality.brightness == pytest.approx([quality.brightness[0]] * 4, abs=0.01)


def test_contrast_is_the_deviation_of_the_luminance() -> None:
    halves = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    halves[:, :4] = 255
    assert contrast(luminance(halves)) == pytest.approx(0.5)
    assert contrast(luminance(filled(90, 20, 200))) == pytest.approx(0, abs=1e-6)


def test_images_measured_together_are_measured_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 12, 9, 3), dtype=np.uint8)
    together = measure(pixels)
    for number, image in enumerate(pixels):
        alone = measure(image[None])
        assert [getattr(alone, name)[0] for name in Quality._fields] == pytest.approx(
            [getattr(together, name)[number] for name in Quality._fields], rel=1e-5
        )
