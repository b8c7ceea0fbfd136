"""Quality of an image, measured on its already scaled pixels: what costs microseconds, not a second decode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""ITU-R BT.601 weights of R, G and B, what JPEG itself calls luminance."""


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """RGB uint8 (h, w, 3) to luminance float32 (h, w), 0 (black) to 1 (white)."""
    return (pixels @ LUMA) / np.float32(255)


def brightness(light: NDArray[np.float32]) -> float:
    """Mean luminance, 0 to 1."""
    return float(light.mean())


def sharpness(light: NDArray[np.float32]) -> float:
    """Variance of the 4-neighbour Laplacian of the luminance, in 0-255 units squared; 0 for an even image.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000. It depends on the scale,
    so values compare only between images prepared at one size.
    """
    inner = light[1:-1, 1:-1]
    laplacian = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:] - 4 * inner
    return float(laplacian.var() * 255**2)
