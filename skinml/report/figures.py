"""Draw the figures of a training run: loss, accuracy, confusion matrix, errors per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skinml.evaluation.metrics import measure, wilson_interval
from skinml.labels import DIAGNOSES
from skinml.report.canvas import BLUE, DOTS_PER_INCH, GREY, ORANGE, canvas, draw_confusion

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_figures(
    out: Path,
    title: str,
    history: Mapping[str, Sequence[float]],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
) -> list[Path]:
    """Write loss.png, accuracy.png, confusion_matrix.png and misclassified.png; their paths, in this order.

    Args:
        out: folder, made where it is not there.
        title: what was trained, such as "thesis-cnn, protocol grouped"; the second line of each title.
        history: one value an epoch of loss, accuracy, val_loss, val_accuracy, and of val_balanced_accuracy
            where there is one.
        labels: true class numbers of the test images, shape (n,), 0 to 6.
        probabilities: their predicted probabilities, shape (n, 7).

    Raises:
        ValueError: labels and probabilities do not fit together (`training.metrics.measure` says how).

    """
    measured = measure(labels, probabilities)
    confusion = np.array(measured["confusion_matrix"])
    rates = f"accuracy {measured['accuracy']:.3f}, balanced accuracy {measured['balanced_accuracy']:.3f}"
    out.mkdir(parents=True, exist_ok=True)
    figures = {
        "loss.png": _curves(title, history, "loss", "Loss (cross-entropy, nats)"),
        "accuracy.png": _curves(title, history, "accuracy", "Accuracy (fraction right)"),
        "confusion_matrix.png": draw_confusion(f"{title}: {rates}", confusion),
        "misclassified.png": _misclassified(f"{title}: {rates}", confusion),
    }
    for name, figure in figures.items():
        figure.savefig(out / name, dpi=DOTS_PER_INCH)
    return [out / name for name in figures]


def _curves(title: str, history: Mapping[str, Sequence[float]], name: str, label: str) -> Figure:
    """Training and validation values by epoch."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = canvas(6.4, 4.2, f"{name.capitalize()} by epoch", title)
    curves = [(name, "training", BLUE, "-", "o"), (f"val_{name}", "validation", ORANGE, "-", "s")]
    if name == "accuracy" and "val_balanced_accuracy" in history:
        curves.append(("val_balanced_accuracy", "validation, balanced", ORANGE, "--", "^"))
    epochs = np.arange(1, len(history[name]) + 1)
    for key, legend, colour, line, marker in curves:
        few = marker if len(epochs) <= 30 else ""  # more markers than that are a thick line
        axes.plot(epochs, history[key], line, color=colour, marker=few, markersize=4, label=legend)
    margin = max(0.5, 0.02 * len(epochs))
    axes.set_xlim(1 - margin, len(epochs) + margin)
    axes.set_xlabel("Epoch")
    axes.set_ylabel(label)
    if name == "accuracy":
        axes.set_ylim(0, 1)
    else:
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, frameon=False, fontsize=9)  # below
    return figure


def _misclassified(title: str, confusion: NDArray[np.int64]) -> Figure:
    """The fraction of each class that is predicted as another, with what its size leaves open."""
    figure, axes = canvas(7.2, 4.4, "Fraction misclassified per diagnosis", title)
    images = confusion.sum(axis=1)
    wrong = images - confusion.diagonal()
    ticks = [f"{name}\n(n = {count})" for name, count in zip(DIAGNOSES, images, strict=True)]
    for position, (missed, count) in enumerate(zip(wrong.tolist(), images.tolist(), strict=True)):
        if count == 0:
            axes.text(position, 0.02, "no image", ha="center", fontsize=8, color=GREY)
            continue
        fraction = missed / count
        low, high = wilson_interval(missed, count)
        axes.bar(position, fraction, width=0.65, color=BLUE)
        axes.errorbar(position, fraction, [[fraction - low], [high - fraction]], color="black", capsize=4)
        axes.text(position, high + 0.015, f"{fraction:.2f}", ha="center", fontsize=9)
    axes.set_xticks(range(len(DIAGNOSES)), ticks)
    axes.set_xlabel("True diagnosis (n: test images; lines: 95 % Wilson interval)")
    axes.set_xlim(-0.6, len(DIAGNOSES) - 0.4)
    axes.set_ylabel("Fraction misclassified")
    axes.set_ylim(0, 1.08)
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    return figure
