"""The figures of an evaluation: drawn whole, with n, axes and the footer, as PNG and SVG."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from skinml.evaluation.misses import worst_misses
from skinml.labels import DIAGNOSES
from skinml.report.canvas import FOOTER
from skinml.report.evaluation_figures import (
    Interval,
    draw_forest,
    draw_precision_recall,
    draw_reliability,
    draw_roc,
    save,
)
from skinml.report.gallery import Miss, draw_misses
from skinml.report.outcome_figure import draw_outcomes
from tests.unit.report.test_figures import _texts, inside

LABELS = np.arange(140) % 7
PROBABILITIES = np.random.default_rng(0).dirichlet(np.ones(7), 140)
ONE_CLASS = np.full(140, 5)
PICTURE = np.zeros((8, 8, 3), np.uint8)
MONTH = {
    **{"month": "2026-11", "model_version": "v1", "scored": 9, "images": 3, "melanomas": 1, "malignant": 1},
    **{"diagnosed_share": 0.33, "melanoma_sensitivity": 1.0, "malignant_sensitivity": None},
    **{"malignant_specificity": 0.5, "intervals": {"melanoma_sensitivity": [0.2, 1.0]}},
}


def _forest() -> Figure:
    rows = [Interval("female", 0.7, [0.6, 0.8], "n = 30"), Interval("unknown", None, None, "n = 1")]
    return draw_forest("Subgroups", "made-up", "Balanced accuracy", [("sex", rows), ("skin tone: no", [])])


FIGURES: dict[str, tuple[Callable[[], Figure], tuple[str, ...]]] = {
    "roc": (lambda: draw_roc("made-up", LABELS, PROBABILITIES), ("malignant: AUC", "n = 60", "mel: AUC")),
    "roc of one class": (lambda: draw_roc("made-up", ONE_CLASS, PROBABILITIES), ("made-up",)),
    "precision": (lambda: draw_precision_recall("made-up", LABELS, PROBABILITIES), ("mel: AP", "n = 20")),
    "reliability": (lambda: draw_reliability("made-up", LABELS, PROBABILITIES), ("Fraction malignant",)),
    "forest": (_forest, ("sex:", "female", "not defined", "n = 30", "skin tone: no")),
    "misses": (
        lambda: draw_misses("made-up", [Miss(PICTURE, "ISIC_1", "mel taken for nv", True)] * 12),
        ("n = 12", "ISIC_1", "mel taken for nv"),
    ),
    "a miss that is gone": (
        lambda: draw_misses("made-up", [Miss(None, "ISIC_1", "mel taken for nv", False)]),
        ("cannot be\nread again",),
    ),
    "no miss": (lambda: draw_misses("made-up", []), ("n = 0",)),
    "outcomes": (
        lambda: draw_outcomes("made-up", [MONTH, {**MONTH, "model_version": "v2", "month": "2026-12"}]),
        ("2026-11", "v1", "v2", "Melanoma\nsensitivity\n(n: melanomas)"),
    ),
    "outcomes of a month without": (
        lambda: draw_outcomes("x", [{"month": "2026-11", "model_version": "v", "scored": 1, "intervals": {}}]),
        ("2026-11",),
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_whole_and_says_what_it_shows(name: str) -> None:
    draw, words = FIGURES[name]
    figure = draw()
    for word in (*words, FOOTER):
        assert word in _texts(figure)
    inside(figure)
    files = save(draw())
    with Image.open(io.BytesIO(files["png"])) as picture:
        assert min(picture.size) > 300
    assert files["svg"].startswith(b"<?xml")
    assert save(draw()) == files, "the same bytes each time"


def test_the_dangerous_misses_come_first_and_the_most_confident_before_others() -> None:
    labels = np.array([DIAGNOSES.index(name) for name in ("nv", "mel", "bcc", "mel", "nv")])
    said = np.array([DIAGNOSES.index(name) for name in ("bkl", "nv", "df", "bcc", "nv")])
    probabilities = np.full((5, 7), 0.01)
    probabilities[np.arange(5), said] = [0.94, 0.6, 0.9, 0.8, 0.9]
    assert worst_misses(labels, probabilities).tolist() == [2, 1, 0, 3]
    assert worst_misses(labels, probabilities, most=1).tolist() == [2]
