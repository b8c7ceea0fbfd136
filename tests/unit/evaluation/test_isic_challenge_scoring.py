"""The figures of isic-challenge-scoring on the same predictions, where both compute one.

It needs Python 3.13 and packages of its own, so it runs in an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skinml.evaluation.metrics import measure
from skinml.labels import DIAGNOSES, encode
from skinml.schemas import PROBABILITY_COLUMNS
from tests.environments import REPOSITORY, find_python, install
from tests.unit.evaluation.made_up import predictions

PYTHON = "3.13"
SAME = {"auc": "auc", "average_precision": "ap", "auc_above_80_sensitivity": "auc_sens_80"}
"""Figures of a class, and their names there. Its sensitivity is of p > 0.5, ours of the highest probability."""
SCORE = """
import json, sys
from pathlib import Path
from isic_challenge_scoring.classification import ClassificationMetric, ClassificationScore
truth, predicted = map(Path, sys.argv[1:])
score = ClassificationScore.from_file(truth, predicted, ClassificationMetric.BALANCED_ACCURACY)
print(json.dumps(score.to_dict(rocs=False)))
"""


@pytest.fixture(scope="module")
def environment() -> str:
    """A Python with isic-challenge-scoring."""
    python = find_python(PYTHON)
    if python is None:
        pytest.skip(f"Python {PYTHON} is not installed")
    return install(python, REPOSITORY / ".venv-isic", ["isic-challenge-scoring"], "constraints-isic.txt")


def _table(path: Path, image_ids: pd.Series[str], values: np.ndarray, *, weights: bool) -> Path:
    table = pd.DataFrame(values, columns=[name.upper() for name in DIAGNOSES])
    table.insert(0, "image", [f"ISIC_{number:07d}" for number in range(len(image_ids))])
    if weights:
        table["score_weight"] = table["validation_weight"] = 1.0
    table.to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_our_figures_are_those_of_isic_challenge_scoring(environment: str, tmp_path: Path) -> None:
    """On predictions with ties: of scores, and of the highest probability, which count as wrong there too."""
    rows = predictions(200)
    labels = encode(rows["dx"])
    probabilities = rows[list(PROBABILITY_COLUMNS)].to_numpy()
    fortieths = np.floor(40 * probabilities) / 40
    fortieths[:, 5] += 1 - fortieths.sum(axis=1)
    tied = (fortieths == fortieths.max(axis=1, keepdims=True)).sum(axis=1) > 1
    right = labels == fortieths.argmax(axis=1)
    assert (tied & right).sum() > 3
    truth = _table(tmp_path / "truth.csv", rows["image_id"], np.eye(7)[labels], weights=True)
    predicted = _table(tmp_path / "predicted.csv", rows["image_id"], fortieths, weights=False)
    ran = subprocess.run(
        [environment, "-c", SCORE, truth, predicted], check=True, capture_output=True, text=True
    )
    theirs, ours = json.loads(ran.stdout), measure(labels, fortieths)
    assert ours["balanced_accuracy"] == pytest.approx(theirs["aggregate"]["balanced_accuracy"], abs=1e-12)
    for figure, name in SAME.items():
        for diagnosis in DIAGNOSES:
            expected = theirs["per_category"][name][diagnosis.upper()]
            assert ours["per_class"][diagnosis][figure] == pytest.approx(expected, abs=1e-12), (
                diagnosis,
                figure,
            )
        assert ours[f"macro_{figure}"] == pytest.approx(theirs["macro_average"][name], abs=1e-12)
