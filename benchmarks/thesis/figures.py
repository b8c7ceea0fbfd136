"""Two figures of the recorded runs: accuracy by epoch, and sensitivity per diagnosis after the last epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.harness.bench import Result
from benchmarks.thesis.inputs import PUBLISHED
from skinml.labels import DIAGNOSES

BY_EPOCH, BY_CLASS = "thesis-epochs.png", "thesis-diagnoses.png"
FITS = {"thesis": ("thesis protocol", "#0072B2", "o"), "honest": ("lesions held out", "#D55E00", "s")}
"""Legend, colour (Okabe & Ito) and marker of each recipe."""

SMOOTH = 5
"""Epochs in the running mean of the thick lines: single epochs jump by 0.02."""


def draw(found: Result, folder: Path) -> None:
    """Write both figures into a folder."""
    figures = found["seeds"]["figures"]
    _by_epoch(figures["runs"], folder / BY_EPOCH)
    _by_class(figures["runs"], figures["epochs"], folder / BY_CLASS)


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.supxlabel("Research use only: not a medical device", x=0.99, ha="right", fontsize=7, color="#595959")
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _by_epoch(runs: list[Any], path: Path) -> None:
    figure, axes = _canvas(8, 4.8)
    for fit, (title, colour, _) in FITS.items():
        for number, run in enumerate(runs):
            values = np.array(run[fit]["curves"]["accuracy"])
            epochs = np.arange(1, len(values) + 1)
            axes.plot(epochs, values, color=colour, linewidth=0.6, alpha=0.35)
            if len(values) >= SMOOTH:
                mean = np.convolve(values, np.ones(SMOOTH) / SMOOTH, "valid")
                label = f"{title}, {len(runs)} seeds" if number == 0 else None
                axes.plot(epochs[SMOOTH - 1 :], mean, color=colour, linewidth=1.8, label=label)
    axes.plot(list(PUBLISHED), list(PUBLISHED.values()), "D", color="black", label="published in the thesis")
    axes.set_title("Test accuracy by epoch\n", loc="left", fontweight="bold")
    subtitle = f"thesis CNN on HAM10000; thick lines: mean of {SMOOTH} epochs, thin lines: each epoch"
    axes.text(0, 1.02, subtitle, transform=axes.transAxes, fontsize=9, color="#595959")
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Accuracy (fraction right)")
    axes.set_ylim(0, 1)
    axes.legend(loc="lower right", frameon=False)
    _save(figure, path)


def _by_class(runs: list[Any], epochs: int, path: Path) -> None:
    figure, axes = _canvas(8, 4.4)
    for offset, (fit, (title, colour, marker)) in zip((-0.14, 0.14), FITS.items(), strict=True):
        for number, run in enumerate(runs):
            values = [run[fit]["sensitivity"][name] for name in DIAGNOSES]
            places = [place + offset for place, value in enumerate(values) if value is not None]
            known = [value for value in values if value is not None]
            label = f"{title}, one mark a seed" if number == 0 else None
            axes.plot(places, known, marker, color=colour, alpha=0.8, label=label)
    axes.set_title("Sensitivity per diagnosis\n", loc="left", fontweight="bold")
    axes.text(
        0,
        1.02,
        f"thesis CNN on HAM10000 after {epochs} epochs, on each recipe's own test set",
        transform=axes.transAxes,
        fontsize=9,
        color="#595959",
    )
    axes.set_xticks(range(len(DIAGNOSES)), DIAGNOSES)
    axes.set_xlabel("True diagnosis")
    axes.set_ylabel("Sensitivity (fraction found)")
    axes.set_ylim(0, 1.03)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, frameon=False)
    _save(figure, path)
