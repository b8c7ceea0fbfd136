"""The power of the gate as a picture, and the interval of a share."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import binomtest

from benchmarks.harness.bench import Result

PICTURE = "benchmarks/gate-power.png"
PANELS = {"gain": "A gain is shown", "promote": "Promoted without a person"}
COLOURS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#000000", "v"))
"""Okabe & Ito, each with a marker of its own."""


def exact_interval(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Clopper & Pearson, Biometrika 26:404, 1934)."""
    interval = binomtest(count, of).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


def power_of(one: Result, what: str, lesions: int, gain: float) -> float:
    """The share of retrainings of a cell with this outcome."""
    [cell] = [cell for cell in one["cells"] if (cell["lesions"], cell["gain"]) == (lesions, gain)]
    share: float = cell["counts"].get(what, 0) / one["retrainings"]
    return share


def draw(found: Result, folder: Path) -> None:
    """Write the picture into a folder: a panel for each of PANELS, a line for each gain."""
    one = found["power"]["figures"]
    gains = sorted({cell["gain"] for cell in one["cells"]})
    lesions = sorted({cell["lesions"] for cell in one["cells"]})
    figure = Figure(figsize=(10, 4.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    title = (
        f"How many labelled lesions until retraining can be shown to help? (n = {one['retrainings']} a point)"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (what, heading) in zip(panels, PANELS.items(), strict=True):
        for gain, (colour, marker) in zip(gains, COLOURS, strict=False):
            shares = [100 * power_of(one, what, count, gain) for count in lesions]
            labelled = [count / 0.15 for count in lesions]
            axes.plot(labelled, shares, marker=marker, color=colour, markersize=5, label=f"+{gain:.2f}")
        axes.axhline(80, color="#595959", linestyle=":", linewidth=1)
        axes.set_xscale("log")
        axes.set_xticks(
            [count / 0.15 for count in lesions],
            [f"{round(count / 0.15, -2):,.0f}" for count in lesions],
            fontsize=7,
        )
        axes.minorticks_off()
        axes.set_title(heading, loc="left", fontsize=10)
        axes.set_xlabel("Labelled lesions (15 % of them are test lesions)")
        axes.set_ylim(-3, 103)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("Share of retrainings, %")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside right center",
        title="True gain in\nbalanced accuracy",
        frameon=False,
        fontsize=8,
        title_fontsize=8,
    )
    figure.supxlabel("Research use only: not a medical device", x=0.99, ha="right", fontsize=7, color="#595959")
    figure.savefig(folder / Path(PICTURE).name, dpi=110, metadata={"Software": None})
