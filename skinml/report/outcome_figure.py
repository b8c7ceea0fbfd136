"""Draw realised sensitivity and specificity by month and model version, with the share of diagnosed images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skinml.report.canvas import AMBER, BLACK, BLUE, GREEN, GREY, ORANGE, PINK, SKY, blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {
    "melanoma_sensitivity": ("Melanoma\nsensitivity", "melanomas"),
    "malignant_sensitivity": ("Malignant\nsensitivity", "malignant"),
    "malignant_specificity": ("Malignant\nspecificity", "images"),
    "diagnosed_share": ("Share of scored\nwith a diagnosis", "scored"),
}
"""What is drawn: its axis, and the column with the number that stands beside the first version's points."""

MARKED = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PINK, "D"), (SKY, "v"), (AMBER, "P"), (BLACK, "X"))


def draw_outcomes(title: str, months: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw a panel for each of PANELS; lines are 95 % intervals, numbers are n.

    Args:
        title: the second line of the title.
        months: the result of `external_validation.outcomes.by_month`.
    """
    names = sorted({month["month"] for month in months})
    versions = list(dict.fromkeys(month["model_version"] for month in months))
    figure = blank(max(6.4, 2.5 + 0.7 * len(names)), 9.2)
    figure.suptitle(f"Outcomes by month of the score\n{title}", x=0.01, ha="left", fontsize=10)
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for axes, (key, (label, count)) in zip(panels, PANELS.items(), strict=True):
        for number, version in enumerate(versions):
            colour, marker = MARKED[number % len(MARKED)]
            shift = 0.5 * (number + 0.5) / len(versions) - 0.25
            first = True
            for month in (one for one in months if one["model_version"] == version):
                if month.get(key) is None:
                    continue
                place, value = names.index(month["month"]) + shift, month[key]
                ends = month["intervals"].get(key)
                if ends is not None:
                    axes.plot([place, place], ends, color=colour, linewidth=1.5)
                axes.plot(
                    [place], [value], marker, color=colour, markersize=5, label=version if first else None
                )
                said = f"{month[count]}"
                axes.annotate(said, (place, value), (4, 0), textcoords="offset points", fontsize=6, color=GREY)
                first = False
        axes.set_ylabel(f"{label}\n(n: {count})", fontsize=8)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xticks(range(len(names)), names, rotation=45 if len(names) > 8 else 0)
    panels[-1].set_xlabel("Month in which the image was scored (UTC; lines: 95 % intervals)")
    if panels[-1].get_legend_handles_labels()[0]:
        panels[-1].legend(
            loc="upper left",
            bbox_to_anchor=(0, -0.35),
            ncols=2,
            frameon=False,
            fontsize=7,
            title="Model version",
        )
    return figure
