"""Draw the worst misses of an evaluation as thumbnails: truth, prediction and confidence of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skinml.evaluation.misses import is_dangerous
from skinml.labels import DIAGNOSES
from skinml.report.canvas import GREY, ORANGE, blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Miss:
    """One picture: its pixels uint8 (size, size, 3), None if it could not be read again, and its two lines."""

    pixels: NDArray[np.uint8] | None
    name: str
    said: str
    dangerous: bool  # a malignant lesion that was taken for a benign one


def make_misses(
    worst: NDArray[np.integer],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    names: Sequence[str],
    pixels: Sequence[NDArray[np.uint8] | None],
) -> list[Miss]:
    """The pictures of k misses among n images.

    Args:
        worst: rows of the misses, shape (k,), as `evaluation.misses.worst_misses` gives them.
        labels: true class numbers of all images, shape (n,).
        probabilities: their predicted probabilities, shape (n, 7).
        names: of the k images.
        pixels: of the k images; None if an image could not be read again.

    """
    predicted = probabilities.argmax(axis=1)
    dangerous = is_dangerous(labels, predicted)
    return [
        Miss(
            image,
            name,
            f"{DIAGNOSES[labels[row]]} taken for {DIAGNOSES[predicted[row]]}, {probabilities[row].max():.0%}",
            bool(dangerous[row]),
        )
        for image, name, row in zip(pixels, names, worst.tolist(), strict=True)
    ]


def draw_misses(title: str, misses: Sequence[Miss]) -> Figure:
    """Draw the misses in their order; malignant taken for benign have an orange frame."""
    rows = max(1, -(-len(misses) // COLUMNS))
    figure = blank(8.4, 1.1 + 2.4 * rows)
    figure.suptitle(
        f"The worst misses (n = {len(misses)}), malignant taken for benign first (orange)\n{title}",
        **{"x": 0.01, "ha": "left", "fontsize": 10},
    )
    for axes, miss in zip(
        figure.subplots(rows, COLUMNS, squeeze=False).flat, [*misses, *[None] * 12], strict=False
    ):
        axes.set_xticks([])
        axes.set_yticks([])
        if miss is None:
            axes.set_axis_off()
            continue
        if miss.pixels is None:
            axes.text(0.5, 0.5, "cannot be\nread again", ha="center", va="center", fontsize=8, color=GREY)
            axes.set_aspect("equal")
        else:
            axes.imshow(miss.pixels, interpolation="none")
        axes.spines[:].set_color(ORANGE if miss.dangerous else GREY)
        axes.spines[:].set_linewidth(2.5 if miss.dangerous else 0.8)
        axes.set_title(miss.name, fontsize=8)
        axes.set_xlabel(miss.said, fontsize=7)
    return figure
