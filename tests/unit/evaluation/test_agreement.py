"""Tests of skinml/evaluation/agreement.py: by hand, by other formulas, and where it cannot say anything."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from skinml.evaluation.agreement import FIGURES, retest_agreement
from skinml.schemas import PROBABILITY_COLUMNS
from tests.unit.evaluation.made_up import predictions

P = list(PROBABILITY_COLUMNS)
ROWS = predictions(200)


def _rows(lesions: list[str], melanoma: list[float]) -> pd.DataFrame:
    """Images whose probabilities are of mel and nv alone."""
    rows = pd.DataFrame({"image_id": [f"I{number}" for number in range(len(lesions))], "lesion_id": lesions})
    rows[P] = 0.0
    rows["p_mel"] = melanoma
    rows["p_nv"] = 1 - rows["p_mel"]
    return rows


def test_a_case_worked_by_hand() -> None:
    """Lesion a: 0.9, 0.7 (agree); b: 0.2, 0.6, 0.1 (one of three pairs agrees); c has one image."""
    found = retest_agreement(
        _rows(["a", "a", "b", "b", "b", "c"], [0.9, 0.7, 0.2, 0.6, 0.1, 0.9]), resamples=50
    )
    assert found is not None
    assert (found["lesions"], found["images"]) == (2, 5)
    metrics = found["metrics"]
    assert metrics["same_diagnosis"] == metrics["same_malignancy"] == pytest.approx((1 + 1 / 3) / 2)
    chance = ((1 + 1 / 3) / 2) ** 2 + ((0 + 2 / 3) / 2) ** 2
    assert metrics["kappa"] == pytest.approx(((1 + 1 / 3) / 2 - chance) / (1 - chance))
    assert metrics["mean_absolute_difference"] == pytest.approx((0.2 + (0.4 + 0.1 + 0.5) / 3) / 2)
    inside = (2 * 0.1**2 + (0.2 - 0.3) ** 2 + (0.6 - 0.3) ** 2 + (0.1 - 0.3) ** 2) / 3
    assert metrics["limits_of_agreement"] == pytest.approx(1.96 * np.sqrt(2 * inside))
    across = 2 * (0.8 - 0.5) ** 2 + 3 * (0.3 - 0.5) ** 2
    images = 5 - (4 + 9) / 5
    assert metrics["icc"] == pytest.approx((across - inside) / (across + (images - 1) * inside))


def test_of_pairs_kappa_is_cohens_of_both_orders() -> None:
    """With two images a lesion, Fleiss' kappa is Cohen's with every pair in either order (Scott's pi)."""
    several = ROWS[ROWS["lesion_id"].duplicated(keep=False)].groupby("lesion_id").head(2)
    found = retest_agreement(several, resamples=50)
    assert found is not None
    said = several[P].to_numpy().argmax(axis=1)
    order = np.argsort(several["lesion_id"].to_numpy(), kind="stable")
    first, second = said[order][::2], said[order][1::2]
    both = np.concatenate([first, second]), np.concatenate([second, first])
    assert found["metrics"]["kappa"] == pytest.approx(cohen_kappa_score(*both))
    assert found["metrics"]["same_diagnosis"] == pytest.approx((first == second).mean())


def test_every_figure_has_an_interval_that_holds_it() -> None:
    found = retest_agreement(ROWS, seed=3, resamples=200)
    assert found is not None
    assert list(found["metrics"]) == list(found["intervals"]) == list(FIGURES)
    for name, (low, high) in found["intervals"].items():
        assert low < found["metrics"][name] < high
    differences = [
        np.mean([abs(a - b) for a, b in combinations(one, 2)])
        for _, one in ROWS.assign(p=ROWS[["p_akiec", "p_bcc", "p_mel"]].sum(axis=1)).groupby("lesion_id")["p"]
        if len(one) > 1
    ]
    assert found["lesions"] == len(differences)
    assert found["metrics"]["mean_absolute_difference"] == pytest.approx(np.mean(differences))
    assert retest_agreement(ROWS.sample(frac=1, random_state=0), seed=3, resamples=200) == pytest.approx(found)
    json.dumps(found, allow_nan=False)


def test_equal_photographs_agree_wholly() -> None:
    found = retest_agreement(_rows(["a", "a", "b", "b"], [0.9, 0.9, 0.2, 0.2]), resamples=50)
    assert found is not None
    assert found["metrics"] == {
        "same_diagnosis": 1.0,
        "same_malignancy": 1.0,
        "kappa": pytest.approx(1.0),
        "mean_absolute_difference": 0.0,
        "icc": pytest.approx(1.0),
        "limits_of_agreement": pytest.approx(0.0, abs=1e-6),
    }


def test_without_variation_kappa_and_icc_are_undefined_and_without_lesions_all() -> None:
    found = retest_agreement(_rows(["a", "a", "b", "b"], [0.9] * 4), resamples=50)
    assert found is not None
    assert (found["metrics"]["kappa"], found["intervals"]["kappa"]) == (None, None)
    assert found["metrics"]["icc"] is None
    assert retest_agreement(_rows(["a", "b"], [0.9, 0.8])) is None
    one = retest_agreement(_rows(["a", "a"], [0.9, 0.2]), resamples=50)
    assert one is not None
    assert one["metrics"]["icc"] is None
    json.dumps(one, allow_nan=False)
