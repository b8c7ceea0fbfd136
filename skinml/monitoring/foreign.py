"""What a network does with images that show no lesion: made from its own test images, scored, and flagged.

A classifier gives seven probabilities for anything. Only the flags of `scores` say that an image is none of its
kind, so a version records how often they do: the model card shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.labels import malignant_probability
from skinml.monitoring.flags import flag_images
from skinml.monitoring.reference import Measured, Thresholds

Pixels = NDArray[np.uint8]

IMAGES = 64
"""How many test images to take: a fraction is known within 12 points then, which is enough for a card."""


def foreign_images(pixels: Pixels, seed: int) -> dict[str, Pixels]:
    """Images that show no lesion, or none as a dermatoscope shows it, of as many as are given.

    Args:
        pixels: images of lesions, uint8 (n, size, size, 3).
        seed: of noise and of the shuffling.

    Returns:
        For each kind uint8 (n, size, size, 3): `black`, `white`, `noise` (each value drawn evenly from 0 to
        255), `inverted` (255 less each value), `shuffled` (the pixels of each image in another order), `grey`
        (luminance alone), `swapped colours` (red and blue).

    """
    generator = np.random.default_rng(seed)
    count, size = pixels.shape[:2]
    flat = pixels.reshape(count, size * size, 3)
    luminance = (pixels @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)  # ITU-R BT.601, as Pillow's
    return {
        "black": np.zeros_like(pixels),
        "white": np.full_like(pixels, 255),
        "noise": generator.integers(0, 256, pixels.shape, dtype=np.uint8),
        "inverted": 255 - pixels,
        "shuffled": flat[:, generator.permutation(size * size)].reshape(pixels.shape),
        "grey": np.repeat(luminance[..., None], 3, axis=-1),
        "swapped colours": pixels[..., ::-1].copy(),
    }


Look = Callable[[Pixels], tuple[Measured, NDArray[np.float64]]]
"""What a network gives for images: their measures, and probabilities (n, 7)."""


def behaviour(pixels: Pixels, look: Look, thresholds: Thresholds, seed: int) -> dict[str, dict[str, Any]]:
    """Score and flag foreign images, and the images that they were made from.

    Args:
        pixels: test images, uint8 (n, size, size, 3), n at least 1.
        look: scores images as `score` does.
        thresholds: of the flags.
        seed: of the images.

    Returns:
        For `test images` and each kind of `foreign_images`: `images`, `flagged` (fraction with any flag),
        `unlike_training` (fraction with that flag), `confidence` (mean), `malignant` (fraction with
        p_malignant above 0.5). Fractions are 0 to 1.

    """
    found = {}
    for kind, images in {"test images": pixels, **foreign_images(pixels, seed)}.items():
        measured, probabilities = look(images)
        flags = flag_images(measured, thresholds)
        found[kind] = {
            "images": len(images),
            "flagged": float(np.mean([bool(words) for words in flags])),
            "unlike_training": float(np.mean(["unlike_training" in words.split(",") for words in flags])),
            "confidence": float(measured.confidence.mean()),
            "malignant": float((malignant_probability(probabilities) > 0.5).mean()),
        }
    return found
