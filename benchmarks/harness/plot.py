"""Plot images per second of every system: one panel for each input, limits as lines."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.harness.bench import Result
from benchmarks.harness.figures import speeds
from benchmarks.harness.systems import LIMIT, US

# Two of the colours that Okabe and Ito chose for every kind of colour vision; their lightness differs too.
OURS, THEIRS = "#0072B2", "#E69F00"
LINES = {"--": "dashed", ":": "dotted"}


def draw(inputs: Result, path: Path, title: str) -> None:
    """One panel for each input, below each other; bars are medians, whiskers the lowest and the highest."""
    mpl.use("Agg")
    figure = Figure(figsize=(9, 1.2 + 3.3 * len(inputs)), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(len(inputs), 1, squeeze=False)[:, 0]
    for panel, entry in zip(axes, inputs.values(), strict=True):
        _panel(panel, entry)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _panel(panel: Axes, entry: Result) -> None:
    systems = {name: one for name, one in speeds(entry).items() if one.rate}
    limits = [systems.pop(name) for name in list(systems) if name.startswith(LIMIT)]
    for position, (name, one) in enumerate(systems.items()):
        rate = one.rate or 0.0
        whisker = [[rate - (one.slowest or rate)], [(one.fastest or rate) - rate]]
        ours = name.startswith(US)
        panel.barh(position, rate, color=OURS if ours else THEIRS, xerr=whisker, ecolor="0.25", capsize=2)
        panel.annotate(
            f"{rate:,.0f}",
            (one.fastest or rate, position),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold" if ours else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # above a limit's line
        )
    panel.set_yticks(range(len(systems)), [one.title for one in systems.values()])
    panel.invert_yaxis()
    title = f"{entry['title']} ({entry['bytes'] / 1000:,.0f} kB an image)"
    for limit, line in zip(limits, LINES, strict=False):
        panel.axvline(limit.rate or 0.0, color="black", linestyle=line, linewidth=1.2)
        title += f"\n{LINES[line]} line: {limit.title}, {limit.rate or 0.0:,.0f} images per second"
    rates = [one.rate or 0.0 for one in limits] + [one.fastest or 0.0 for one in systems.values()]
    panel.set_xlim(0, 1.15 * max(rates, default=0.0) or 1.0)
    panel.set_title(title, fontsize="medium", loc="left")
    panel.set_xlabel("images per second")
    panel.spines[["top", "right"]].set_visible(False)
