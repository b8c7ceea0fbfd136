"""Convert any Pillow image to RGB: repeat grey, look up palettes, blend alpha with white, cut 16 bits to 8."""

from __future__ import annotations

import numpy as np
from PIL import Image

ROWS_AT_ONCE = 2**20
"""Pixels that are scanned at once: as float64 they take 8 MB."""


def to_rgb(image: Image.Image, scale: float | None = None) -> Image.Image:
    """Convert an image of any Pillow mode to RGB, as described in `decode`.

    Args:
        image: a whole image or a piece of it.
        scale: for modes I and F, the result of `number_scale` for the whole image; None computes it here.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0, posinf=255, neginf=0, copy=False)
        values /= scale or number_scale(image) or 1
        return Image.fromarray(np.clip(values, 0, 255, out=values).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB")


def number_scale(image: Image.Image) -> float | None:
    """Return the divisor that maps white to 255 for an image of mode I or F; None for other modes."""
    if image.mode not in ("I", "F"):
        return None
    width, height = image.size
    rows = max(1, ROWS_AT_ONCE // width)
    largest = 0.0
    for top in range(0, height, rows):
        values = np.asarray(image.crop((0, top, width, min(top + rows, height))))
        # NaN becomes 0, infinity 255.
        known = np.nan_to_num(values.astype(np.float64), nan=0, posinf=255, neginf=0, copy=False)
        largest = max(largest, float(known.max(initial=0)))
    if image.mode == "F" and largest <= 1:  # floats from black to white, as science keeps them
        return 1 / 255
    return 256.0 if largest > 255 else 1.0  # signed 16-bit TIFFs open as 32-bit "I"
