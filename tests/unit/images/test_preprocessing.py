"""Tests of skinml/images/preprocessing.py: what reaches a network. Names and JSON: test_load.py."""

from __future__ import annotations

import numpy as np

from skinml.images.preprocessing import network_input

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)


def test_raw_pixels_reach_the_network_as_they_are() -> None:
    found = network_input(PIXELS, "raw")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, PIXELS)


def test_imagenet_is_what_its_networks_were_fitted_with() -> None:
    """torchvision's documented transform: ToTensor, then Normalize(mean, std) of each channel."""
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    found = network_input(PIXELS, "imagenet")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (PIXELS / 255 - mean) / deviation, rtol=1e-5, atol=1e-6)


def test_pixels_are_left_alone() -> None:
    before = PIXELS.copy()
    network_input(PIXELS, "raw")[:] = 0
    network_input(PIXELS, "imagenet")[:] = 0
    np.testing.assert_array_equal(PIXELS, before)
