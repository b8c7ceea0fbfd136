"""Draw the figures of an evaluation: ROC, precision-recall, reliability, subgroups.

The curves are scikit-learn's. Functions return matplotlib figures; `save` gives the bytes of each, as PNG
and SVG.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.evaluation.metrics import area_under_curve, wilson_interval
from skinml.labels import DIAGNOSES, MALIGNANT, malignant_probability
from skinml.report.canvas import BLUE, COLOURS, DOTS_PER_INCH, GREY, blank, canvas
from skinml.report.gallery import Miss, draw_misses

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 10
"""Bins of equal width of the reliability diagram (Guo et al., ICML 2017, use 15 for 10,000 images)."""


def save(figure: Figure) -> dict[str, bytes]:
    """Return a figure as `png` and `svg`; the same figure gives the same bytes."""
    import matplotlib as mpl

    found = {}
    with mpl.rc_context({"svg.hashsalt": "skinml"}):
        for kind in ("png", "svg"):
            buffer = io.BytesIO()
            nameless = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
            figure.savefig(buffer, format=kind, dpi=DOTS_PER_INCH, metadata=nameless)
            found[kind] = buffer.getvalue()
            figure.set_layout_engine("none")  # everything has its place; again, it would take as long
    return found


def judged_figures(
    title: str,
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    judged: Mapping[str, Any],
    misses: Callable[[], Sequence[Miss]],
) -> dict[str, Callable[[], Figure]]:
    """The figures of predictions by name, each drawn when it is called.

    Args:
        title: whose predictions, and of what; the second line of each title.
        labels: true class numbers, shape (n,), 0 to 6.
        probabilities: their predicted probabilities, shape (n, 7).
        judged: what `evaluation.judgement.judge` says of them.
        misses: gives the worst of them.

    """
    return {
        "roc": lambda: draw_roc(title, labels, probabilities),
        "precision_recall": lambda: draw_precision_recall(title, labels, probabilities),
        "reliability": lambda: draw_reliability(title, labels, probabilities),
        "subgroups": lambda: draw_subgroups(title, judged["subgroups"]),
        "worst_misses": lambda: draw_misses(title, misses()),
    }


def _against_the_rest(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> list[tuple[str, NDArray[np.bool_], NDArray[np.floating]]]:
    """Return name, truth and score of the seven classes and of malignant, those that have both outcomes."""
    found = [(name, labels == number, probabilities[:, number]) for number, name in enumerate(DIAGNOSES)]
    malignant = np.isin(labels, [DIAGNOSES.index(name) for name in MALIGNANT])
    found.append(("malignant", malignant, malignant_probability(probabilities)))
    return [one for one in found if 0 < one[1].sum() < len(labels)]


def draw_roc(title: str, labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> Figure:
    """Draw the ROC curve of each class against the rest, and of malignant against benign.

    Args:
        title: the second line of the title.
        labels: true class numbers, shape (n,), 0 to 6.
        probabilities: shape (n, 7).
    """
    from sklearn.metrics import roc_curve

    figure, axes = canvas(7.2, 5.4, "ROC: one diagnosis against the rest", title)
    for name, positive, score in _against_the_rest(labels, probabilities):
        false_alarms, sensitivity, _ = roc_curve(positive, score)
        legend = f"{name}: AUC {area_under_curve(positive, score):.3f}, n = {positive.sum()}"
        _curve(axes, name, false_alarms, sensitivity, legend)
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1)
    axes.set_xlabel("1 - specificity (fraction of the rest that is called positive)")
    axes.set_ylabel("Sensitivity (fraction of positives found)")
    return _framed(figure, axes)


def draw_precision_recall(
    title: str, labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> Figure:
    """Draw precision against sensitivity for each class, and for malignant; arguments as for `draw_roc`."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    figure, axes = canvas(7.2, 5.4, "Precision and sensitivity: one diagnosis against the rest", title)
    for name, positive, score in _against_the_rest(labels, probabilities):
        precision, sensitivity, _ = precision_recall_curve(positive, score)
        mean = average_precision_score(positive, score)
        _curve(axes, name, sensitivity, precision, f"{name}: AP {mean:.3f}, n = {positive.sum()}")
    axes.set_xlabel("Sensitivity (fraction of positives found)")
    axes.set_ylabel("Precision (fraction of the positive calls that are right)")
    return _framed(figure, axes)


def _curve(axes: Axes, name: str, across: NDArray[np.floating], up: NDArray[np.floating], legend: str) -> None:
    bold = name in ("mel", "malignant")
    axes.plot(
        across, up, color=COLOURS[name], linewidth=2.2 if bold else 1.3, label=legend, drawstyle="steps-post"
    )


def _framed(figure: Figure, axes: Axes) -> Figure:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    return figure


def draw_reliability(title: str, labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> Figure:
    """Draw the fraction that is right against the probability: of the predicted class, and of malignant.

    A point is one of BINS bins, with its 95 % Wilson interval and its number of images. A calibrated model's
    points lie on the diagonal. Arguments as for `draw_roc`.
    """
    figure = blank(9.6, 4.8)
    figure.suptitle(f"Reliability\n{title}", x=0.01, ha="left", fontsize=10)
    malignant = np.isin(labels, [DIAGNOSES.index(name) for name in MALIGNANT])
    right = probabilities.argmax(axis=1) == labels
    panels = [
        (right, probabilities.max(axis=1), "Probability of the predicted diagnosis", "Fraction right"),
        (malignant, malignant_probability(probabilities), "Probability of malignant", "Fraction malignant"),
    ]
    for axes, (true, said, across, up) in zip(figure.subplots(1, 2), panels, strict=True):
        axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1)
        for mean, fraction, images, trues in _bins(true, said):
            low, high = wilson_interval(trues, images)
            axes.errorbar(
                mean,
                fraction,
                [[fraction - low], [high - fraction]],
                fmt="o",
                color=BLUE,
                capsize=3,
                markersize=4,
            )
            axes.annotate(
                f"{images}", (mean, low), (0, -9), textcoords="offset points", fontsize=7, ha="center"
            )
        axes.set_xlabel(f"{across} (n: images of the bin)")
        axes.set_ylabel(up)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.08, 1.02)
        axes.set_yticks(np.arange(0, 1.01, 0.2))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _bins(true: NDArray[np.bool_], said: NDArray[np.floating]) -> list[tuple[float, float, int, int]]:
    """Return mean probability, fraction true, images and trues of each bin that has images."""
    which = np.minimum((np.clip(said, 0, 1) * BINS).astype(int), BINS - 1)
    found = []
    for number in np.unique(which):
        chosen = which == number
        images, trues = int(chosen.sum()), int(true[chosen].sum())
        found.append((float(said[chosen].mean()), trues / images, images, trues))
    return found


@dataclass(frozen=True)
class Interval:
    """A row of a forest plot: its name, its figure and 95 % interval (None if undefined), and its size."""

    name: str
    value: float | None
    ends: Sequence[float] | None
    size: str


def draw_forest(
    heading: str, title: str, axis: str, groups: Sequence[tuple[str, Sequence[Interval]]]
) -> Figure:
    """Draw one line per row: the figure as a point, its interval as a bar, its size at the right.

    Args:
        heading: the title.
        title: its second line.
        axis: what the figure is; it is 0 to 1.
        groups: name and rows of each group, from top to bottom.
    """
    rows = sum(len(group) + 1 for _, group in groups)
    figure, axes = canvas(8.0, max(2.5, 1.4 + 0.24 * rows), heading, title)
    ticks: list[tuple[int, str]] = []
    line = 0
    for name, group in groups:
        ticks.append((line, f"{name}:" if group else name))
        line += 1
        for row in group:
            ticks.append((line, row.name))
            if row.value is None:
                axes.text(0.01, line, "not defined", fontsize=7, va="center", color=GREY)
            else:
                if row.ends is not None:
                    axes.plot(list(row.ends), [line, line], color=BLUE, linewidth=1.5)
                axes.plot([row.value], [line], "o", color=BLUE, markersize=4)
            axes.text(1.02, line, row.size, fontsize=7, va="center", color=GREY, clip_on=False)
            line += 1
    axes.set_yticks([place for place, _ in ticks], [name for _, name in ticks], fontsize=8)
    axes.set_ylim(max(line, 1) - 0.3, -0.7)
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"{axis} (lines: 95 % intervals)")
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params(axis="y", length=0)
    return figure


FOREST = "balanced_accuracy"
"""The figure of the subgroups that is drawn."""


def draw_subgroups(title: str, subgroups: Mapping[str, Any]) -> Figure:
    """Draw FOREST of every subgroup; `subgroups` as `evaluation.subgroups` returns them."""
    groups: list[tuple[str, list[Interval]]] = []
    for column, rows in subgroups.items():
        if not isinstance(rows, Mapping):  # such as skin tone: not assessed
            groups.append((f"{column.replace('_', ' ')}: {rows}", []))
            continue
        title_of = "body site" if column == "localization" else column  # as the model card calls it
        groups.append((title_of, [_interval(name, row) for name, row in rows.items()]))
    return draw_forest("Subgroups", title, "Balanced accuracy over the diagnoses of the group", groups)


def _interval(name: str, row: Mapping[str, Any]) -> Interval:
    present = len(DIAGNOSES) - len(row["absent"])
    lesions = "1 lesion" if row["lesions"] == 1 else f"{row['lesions']} lesions"
    diagnoses = "1 diagnosis" if present == 1 else f"{present} diagnoses"
    size = f"n = {row['images']} ({lesions}), {diagnoses}"
    return Interval(name, row["metrics"][FOREST], row["intervals"].get(FOREST), size)
