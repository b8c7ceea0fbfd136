"""A chart of the page: its figure, its numbers as a table and in words, and its files as PNG and SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skinml.report.canvas import DOTS_PER_INCH, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Chart:
    """One chart.

    Attributes:
        name: of its files, without suffix.
        title: its heading on the page.
        said: what it shows, with the numbers: for who cannot see it.
        figure: the chart.
        head, rows: its numbers as a table.
        note: what to know beside it; "" if nothing.
    """

    name: str
    title: str
    said: str
    figure: Figure
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    note: str = ""


def as_png_and_svg(figure: Figure) -> tuple[bytes, bytes]:
    """Return a figure as a PNG file and as an SVG file; the same figure gives the same bytes.

    In the SVG, letters are shapes, so that it looks the same everywhere.
    """
    from matplotlib import rc_context

    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    figure.set_layout_engine("none")  # everything has its place now; finding it takes most of the time
    with rc_context({"svg.hashsalt": "skinml", "svg.fonttype": "path"}):
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue()


def panel(axes: Axes, title: str, about: str) -> None:
    """Give axes a bold title and a grey line below it, and remove what frames them."""
    axes.set_title(f"{title}\n", fontsize=11, loc="left", fontweight="bold")
    axes.text(0, 1.02, about, transform=axes.transAxes, fontsize=8, color=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def bars(axes: Axes, names: Sequence[str], values: Sequence[int], colours: Sequence[str] | str) -> None:
    """Draw horizontal bars from the top, each with its number."""
    places = range(len(names))
    axes.barh(places, values, color=colours, edgecolor="black", linewidth=0.4)
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    most = max(values, default=0)
    for place, value in zip(places, values, strict=True):
        axes.text(value + 0.01 * max(most, 1), place, f"{value:,}", va="center", fontsize=8)
    axes.set_xlim(0, 1.16 * max(most, 1))
    whole_numbers(axes, "x")
    axes.grid(axis="x", alpha=0.3)


def whole_numbers(axes: Axes, which: str) -> None:
    """Label an axis with few whole numbers, thousands separated."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
