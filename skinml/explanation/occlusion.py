"""Occlusion maps: how the log-odds of a diagnosis change if a grey patch hides a part of the image.

After Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014. It needs nothing but
the network's probabilities, so it works with every network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

GREY = 128
"""Value of the patch in all three channels."""

BATCH = 32
"""Images per call of the network."""

SMALLEST = 1e-6
"""Probabilities are drawn to within this of 0 and 1, so that log-odds are finite: at most 13.8."""

FLAT = 0.01
"""A map whose values all lie within this many log-odds of 0 shows nothing."""

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""Pixels uint8 (n, size, size, 3) to probabilities float64 (n, 7)."""


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What an image loses if parts of it are hidden.

    Attributes:
        change: float64 (size, size), in log-odds. Above 0: hiding this place makes the diagnosis less likely,
            so the network used it for the diagnosis; below 0: against it.
        log_odds: of the diagnosis for the whole image.
        patch: edge of the grey square, in px of the network's input.
        stride: distance of two neighbouring squares, likewise.
        calls: how many hidden versions of the image were scored.

    """

    change: NDArray[np.float64]
    log_odds: float
    patch: int
    stride: int
    calls: int

    @property
    def is_flat(self) -> bool:
        """Whether no patch changes the answer: the network does not look at this image."""
        return bool(np.abs(self.change).max() < FLAT)


def patch_and_stride(size: int) -> tuple[int, int]:
    """Edge and stride of the patch for images of this edge: about a quarter and a sixteenth, in px.

    Example:
        >>> patch_and_stride(32), patch_and_stride(128), patch_and_stride(8)
        ((8, 2), (32, 8), (4, 1))
    """
    stride = max(1, round(size / 16))
    return 4 * stride, stride


def occlude(predict: Predict, pixels: NDArray[np.uint8], label: int, patch: int, stride: int) -> Occlusion:
    """Slide a grey patch over an image, beyond its edges too, so that every pixel is hidden equally often.

    Args:
        predict: the network.
        pixels: uint8 (size, size, 3).
        label: number of the diagnosis.
        patch: edge of the patch in px.
        stride: in px; a divisor of `patch`.

    Returns:
        At each pixel the mean change over the (patch / stride)^2 patches that hide it.

    Example:
        >>> def reads_one_corner(images):
        ...     seen = images[:, :4, :4].mean(axis=(1, 2, 3)) / 512 + 0.25
        ...     return np.stack([seen, *[(1 - seen) / 6] * 6], axis=1)
        >>> image = np.full((8, 8, 3), 255, np.uint8)
        >>> change = occlude(reads_one_corner, image, 0, 4, 2).change
        >>> bool(change[:4, :4].min() > 0), float(change[6:, 6:].max())
        (True, 0.0)
    """
    size = len(pixels)
    starts = np.arange(stride - patch, size, stride)
    corners = [(top, left) for top in starts for left in starts]
    whole = _log_odds(predict(pixels[None])[:, label])[0]
    total, times = np.zeros((size, size)), np.zeros((size, size))
    for first in range(0, len(corners), BATCH):
        some = corners[first : first + BATCH]
        hidden = np.repeat(pixels[None], len(some), axis=0)
        for image, (top, left) in zip(hidden, some, strict=True):
            image[max(0, top) : top + patch, max(0, left) : left + patch] = GREY
        for change, (top, left) in zip(whole - _log_odds(predict(hidden)[:, label]), some, strict=True):
            total[max(0, top) : top + patch, max(0, left) : left + patch] += change
            times[max(0, top) : top + patch, max(0, left) : left + patch] += 1
    return Occlusion(total / times, float(whole), patch, stride, len(corners))


def _log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = probability.clip(SMALLEST, 1 - SMALLEST)
    found: NDArray[np.float64] = np.log(bounded / (1 - bounded))
    return found


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation of two maps of one shape, -1 to 1; nan if one of them is constant.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 90.0]))
        1.0
    """
    ranks = [pd.Series(np.ravel(values)).rank().to_numpy(dtype=np.float64) for values in (first, second)]
    if any(values.std() == 0 for values in ranks):
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1].round(12))


def likeness(
    predict: Predict, pixels: NDArray[np.uint8], others: Sequence[NDArray[np.uint8]], label: int
) -> float | None:
    """Median rank correlation of an image's map with those of other images, on a coarser grid.

    Near 1, the map does not depend on the image and explains nothing: Adebayo et al., "Sanity checks for
    saliency maps", NeurIPS 2018.

    Args:
        predict: the network.
        pixels: the image, uint8 (size, size, 3).
        others: other images; those of another size are left out. None of them: None.
        label: number of the diagnosis.

    """
    patch, _ = patch_and_stride(len(pixels))
    own, *maps = (
        occlude(predict, image, label, patch, patch // 2).change
        for image in (pixels, *others)
        if image.shape == pixels.shape
    )
    found = [rank_correlation(own, one) for one in maps]
    known = [value for value in found if np.isfinite(value)]
    return float(np.median(known)) if known else None
