"""What all figures share: palette, an empty page with title and footer, and the confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette, told apart with any colour vision (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"
GREEN, PINK, YELLOW, SKY, AMBER, BLACK = "#009E73", "#CC79A7", "#F0E442", "#56B4E9", "#E69F00", "#000000"

COLOURS: dict[str, str] = dict(zip(DIAGNOSES, (AMBER, SKY, GREEN, YELLOW, ORANGE, BLUE, PINK), strict=True)) | {
    "malignant": BLACK
}
"""The colour of each diagnosis, the same in every figure."""

FOOTER = "Research use only: not a medical device"
DOTS_PER_INCH = 150


def blank(width: float, height: float) -> Figure:
    """Return an empty figure in inches with the footer, drawn by Agg: no display, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.supxlabel(FOOTER, x=0.99, ha="right", fontsize=7, color=GREY)
    return figure


def canvas(width: float, height: float, heading: str, title: str) -> tuple[Figure, Axes]:
    """Return an empty figure in inches with one pair of axes, its title and the footer."""
    figure = blank(width, height)
    axes = figure.add_subplot()
    axes.set_title(f"{heading}\n", fontsize=12, loc="left", fontweight="bold")
    axes.text(0, 1.02, title, transform=axes.transAxes, fontsize=9, color=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_confusion(title: str, confusion: NDArray[np.int64], images_of: str = "test set") -> Figure:
    """Draw counts in every cell, coloured by the share of their row.

    The cells are as wide as the page leaves them. With square cells (imshow's default) the layout measures the
    labels before it shrinks the axes, and the axis label on the left ends up outside of the page.

    Args:
        title: the second line of the title.
        confusion: counts, (7, 7), rows the truth, columns the prediction.
        images_of: what the images are.
    """
    figure, axes = canvas(7.6, 6.2, f"Confusion matrix of the {images_of}", title)
    images = confusion.sum(axis=1, keepdims=True)
    share = confusion / np.maximum(images, 1)
    image = axes.imshow(share, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*confusion.shape):
        axes.text(
            column,
            row,
            f"{confusion[row, column]}\n{share[row, column]:.0%}" if images[row] else "0",
            ha="center",
            va="center",
            fontsize=8,
            color="black" if share[row, column] > 0.5 else "white",
        )
    axes.set_xticks(range(len(DIAGNOSES)), DIAGNOSES)
    rows = [f"{name}\n(n = {count})" for name, count in zip(DIAGNOSES, images[:, 0], strict=True)]
    axes.set_yticks(range(len(DIAGNOSES)), rows)
    axes.set_xlabel("Predicted diagnosis")
    axes.set_ylabel("True diagnosis (n: images)")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, fraction=0.045, label="Share of the true diagnosis's images")
    bar.outline.set_visible(False)
    return figure
