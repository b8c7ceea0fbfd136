"""Tests of skinml/report/figures.py: what is drawn is judged by eye, that it is drawn is judged here."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from skinml.labels import DIAGNOSES
from skinml.report.canvas import FOOTER, draw_confusion
from skinml.report.figures import _curves, _misclassified, training_figures

NAMES = ["loss.png", "accuracy.png", "confusion_matrix.png", "misclassified.png"]
HISTORY = {
    "loss": [1.9, 1.5, 1.2],
    "accuracy": [0.2, 0.4, 0.5],
    "val_loss": [1.8, 1.6, 1.5],
    "val_accuracy": [0.3, 0.4, 0.4],
    "val_balanced_accuracy": [0.2, 0.3, 0.35],
}


def inside(figure: Figure) -> None:
    """Assert that every word lies on the page."""
    figure.canvas.draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert (box.x1 <= width, box.y1 <= height) == (True, True)


def _texts(figure: Figure) -> str:
    """Every word in a figure."""
    return " | ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


@pytest.mark.parametrize("epochs", [1, 3])
def test_four_figures_are_written(tmp_path: Path, epochs: int) -> None:
    labels = np.arange(70) % 7
    probabilities = np.random.default_rng(0).dirichlet(np.ones(7), 70)
    history = {name: values[:epochs] for name, values in HISTORY.items()}
    paths = training_figures(tmp_path / "figures", "made-up", history, labels, probabilities)
    assert paths == [tmp_path / "figures" / name for name in NAMES]
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert min(image.size) > 500
            assert len(image.convert("RGB").getcolors(maxcolors=2**20) or []) > 10


def test_curves_show_training_and_validation() -> None:
    figure = _curves("made-up", HISTORY, "accuracy", "Accuracy (fraction right)")
    lines = {line.get_label(): list(np.asarray(line.get_ydata())) for line in figure.axes[0].lines}
    assert lines == {
        "training": HISTORY["accuracy"],
        "validation": HISTORY["val_accuracy"],
        "validation, balanced": HISTORY["val_balanced_accuracy"],
    }
    for words in ("Accuracy by epoch", "made-up", "Epoch", "Accuracy (fraction right)", FOOTER):
        assert words in _texts(figure)


def test_every_cell_shows_its_count_and_share() -> None:
    confusion = np.zeros((7, 7), np.int64)
    confusion[4] = [0, 0, 0, 0, 30, 10, 0]
    words = _texts(draw_confusion("made-up", confusion))
    assert "30\n75%" in words
    assert "10\n25%" in words
    assert "mel\n(n = 40)" in words
    assert "nv\n(n = 0)" in words


def test_no_word_is_cut_off_by_the_edge_of_the_page() -> None:
    confusion = np.full((7, 7), 1234)
    for figure in (
        draw_confusion("made-up", confusion),
        _misclassified("made-up", confusion),
        _curves("made-up", HISTORY, "accuracy", "Accuracy (fraction right)"),
    ):
        inside(figure)


def test_bars_are_fractions_with_their_intervals() -> None:
    confusion = np.zeros((7, 7), np.int64)
    confusion[4] = [0, 0, 0, 0, 30, 10, 0]
    figure = _misclassified("made-up", confusion)
    (bar,) = figure.axes[0].containers[0]
    assert bar.get_height() == pytest.approx(0.25)
    (interval,) = figure.axes[0].collections
    assert isinstance(interval, LineCollection)
    low, high = np.asarray(interval.get_segments()[0])[:, 1]
    assert (low, high) == pytest.approx((0.1419, 0.4019), abs=1e-4)
    words = _texts(figure)
    assert "mel\n(n = 40)" in words
    assert words.count("no image") == len(DIAGNOSES) - 1


def test_no_global_state_is_touched() -> None:
    code = (
        "import sys, pathlib, tempfile, numpy as np\n"
        "from skinml.report.figures import training_figures\n"
        "assert 'matplotlib' not in sys.modules\n"
        "history = dict.fromkeys(['loss', 'accuracy', 'val_loss', 'val_accuracy'], [0.5])\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    training_figures(pathlib.Path(folder), 'made-up', history, np.arange(7), np.eye(7))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
