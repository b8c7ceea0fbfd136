"""Draw what the images themselves are like: sizes, sharpness, brightness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skinml.exploration.chart import Chart, bars, panel
from skinml.exploration.summary import QUANTILES, Summary, listed
from skinml.labels import DIAGNOSES
from skinml.report.canvas import BLACK, BLUE, COLOURS, GREY, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOWEST = 0.1
"""A logarithmic axis has no 0, which an even image's sharpness is."""


def draw_sizes(summary: Summary) -> Chart:
    """The sizes of the images before they were resized."""
    sizes = summary.sizes
    figure = blank(7.2, 1.9 + 0.28 * len(sizes))
    axes = figure.add_subplot()
    low, _, middle, _, high = (value / 1000 for value in summary.bytes)
    files = f"files: median {middle:,.0f} kB, 90 % of them {low:,.0f} to {high:,.0f} kB"
    panel(axes, "Image sizes", f"n = {summary.images:,} images, width x height; {files}")
    bars(axes, [f"{name} px" if name[0].isdigit() else str(name) for name in sizes.index], sizes.tolist(), BLUE)
    axes.set_xlabel("Images")
    said = f"Width x height in px: {listed(sizes, summary.images)}; {files}."
    rows = [(str(name), f"{count:,}") for name, count in sizes.items()]
    return Chart("sizes", "Image sizes", said, figure, ("width x height, px", "images"), rows)


def draw_quality(summary: Summary) -> Chart:
    """Sharpness and brightness by diagnosis, as boxes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = blank(9.4, 4.4)
    sharp, bright = figure.subplots(1, 2)
    panel(sharp, "Sharpness", "boxes: quartiles and median; whiskers: 5 and 95 % of the images")
    _boxes(sharp, summary.sharpness.clip(lower=LOWEST))
    sharp.set_yscale("log")
    sharp.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    sharp.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    sharp.yaxis.set_minor_formatter(NullFormatter())
    sharp.set_ylabel("Variance of the Laplacian (grey levels squared)")
    panel(bright, "Brightness", "boxes: quartiles and median; whiskers: 5 and 95 % of the images")
    _boxes(bright, summary.brightness)
    bright.set_ylim(0, 1)
    bright.set_ylabel("Mean luminance (0: black, 1: white)")
    middles = {
        name: (float(summary.sharpness["median"][name]), float(summary.brightness["median"][name]))
        for name in DIAGNOSES
    }
    medians = [
        f"{name} {sharpness:,.0f} and {brightness:.2f}"
        for name, (sharpness, brightness) in middles.items()
        if not np.isnan(sharpness)
    ]
    rows = [
        (name, *_cells(summary.sharpness, name, "{:,.1f}"), *_cells(summary.brightness, name, "{:.2f}"))
        for name in DIAGNOSES
    ]
    said = f"Medians of sharpness and brightness by diagnosis: {', '.join(medians) or 'none is measured'}."
    note = (
        "Both are measured on the pixels that prepare made, so compare only images prepared at one size. Where "
        "diagnoses differ much, a model can learn the photograph in place of the lesion."
    )
    head = ("diagnosis", "sharpness 5 %", "median", "95 %", "brightness 5 %", "median", "95 %")
    return Chart("quality", "Sharpness and brightness", said, figure, head, rows, note)


def _cells(quantiles: pd.DataFrame, diagnosis: str, form: str) -> list[str]:
    found = [float(quantiles[name][diagnosis]) for name in ("low", "median", "high")]
    return ["-" if np.isnan(one) else form.format(one) for one in found]


def _boxes(axes: Axes, quantiles: pd.DataFrame) -> None:
    there = [name for name in DIAGNOSES if quantiles.loc[name].notna().all()]
    parts = ("whislo", "q1", "med", "q3", "whishi")
    stats = [dict(zip(parts, quantiles.loc[name, list(QUANTILES)], strict=True)) for name in there]
    places = [DIAGNOSES.index(name) for name in there]
    if stats:
        drawn = axes.bxp(
            [{**one, "fliers": []} for one in stats],
            positions=places,
            widths=0.6,
            patch_artist=True,
            showfliers=False,
            medianprops={"color": BLACK, "linewidth": 1.8},
        )
        for box, name in zip(drawn["boxes"], there, strict=True):
            box.set_facecolor(COLOURS[name])
    for place, name in enumerate(DIAGNOSES):
        if name not in there:
            axes.text(place, 0.5, "no image", transform=axes.get_xaxis_transform(), ha="center", rotation=90,
                      fontsize=8, color=GREY)  # fmt: skip
    axes.set_xticks(np.arange(len(DIAGNOSES)), DIAGNOSES)
    axes.set_xlim(-0.6, len(DIAGNOSES) - 0.4)
    axes.set_xlabel("Diagnosis")
    axes.grid(axis="y", alpha=0.3)
