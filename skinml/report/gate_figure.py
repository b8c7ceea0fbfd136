"""Draw the gate's criteria: each difference with its interval against its margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skinml.gate.criteria import BETTER, GAIN, NOT_ASSESSABLE, NOT_SHOWN, NOT_WORSE, WORSE
from skinml.models.floors import Criterion
from skinml.report.canvas import BLACK, BLUE, GREY, ORANGE, blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS = {
    BETTER: (BLUE, "o"),
    NOT_WORSE: (BLUE, "o"),
    NOT_SHOWN: (GREY, "D"),
    NOT_ASSESSABLE: (GREY, "D"),
    WORSE: (ORANGE, "s"),
}
"""Colour and marker of each verdict, so that colour alone never says it."""


def drawn(criteria: Sequence[Criterion]) -> list[Criterion]:
    """The criteria that compare both models and have an interval."""
    return [one for one in criteria if one.interval is not None and one.difference is not None]


def draw_criteria(title: str, criteria: Sequence[Criterion]) -> Figure:
    """A row for each comparison; right is better for all of them, so the calibration error is turned round.

    Args:
        title: the second line of the title, such as versions and n.
        criteria: of a verdict; those without an interval are left out.
    """
    rows = drawn(criteria)
    figure = blank(8.6, 1.9 + 0.62 * max(1, len(rows)))
    heading = f"The challenger's difference to the champion, with its interval and its limit (dotted)\n{title}"
    figure.suptitle(heading, x=0.01, ha="left", fontsize=10)
    axes = figure.add_subplot()
    axes.axvline(0, color=BLACK, linewidth=0.8)
    for place, one in enumerate(rows):
        low, high = one.interval or (0.0, 0.0)
        margin, value = one.margin or 0.0, one.difference or 0.0
        if margin > 0:  # a lower figure is better
            low, high, margin, value = -high, -low, -margin, -value
        colour, marker = LOOKS[one.verdict]
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot([value], [place], marker, color=colour, markersize=7)
        axes.plot([margin, margin], [place - 0.36, place + 0.36], color=ORANGE, linewidth=2, linestyle=":")
        axes.annotate(
            f"{one.verdict}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=colour,
        )
    axes.set_yticks(range(len(rows)), [_label(one) for one in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("worse  <   difference (fraction)   >  better", fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _label(one: Criterion) -> str:
    """The criterion in lines of about 34 letters."""
    import textwrap

    bound = "one-sided bound of one look" if one.criterion == GAIN else f"margin {abs(one.margin or 0):.2f}"
    said = f"{one.criterion.removesuffix(' not worse')}, {bound}"
    return "\n".join(textwrap.wrap(said, 46))
