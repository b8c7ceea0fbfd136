"""Tests of skinml/evaluation/conformal.py."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from skinml.evaluation.conformal import conformal, fewest, one_each, thresholds
from skinml.labels import DIAGNOSES, encode
from skinml.schemas import PROBABILITY_COLUMNS
from tests.unit.evaluation.made_up import predictions

P = list(PROBABILITY_COLUMNS)


def test_every_class_is_covered_on_exchangeable_data() -> None:
    """80 calibrations of their own, and 7 x 80 coverages: their means lie at 90 % or a little above.

    For n calibration images the coverage is ceil(0.9 (n + 1)) / (n + 1) in the mean (Vovk, 2013), at least 0.90
    and at most 0.90 + 1 / (n + 1).
    """
    generator = np.random.default_rng(0)
    images, tested = 40, 200
    labels = np.repeat(np.arange(7), images)
    test_labels = np.repeat(np.arange(7), tested)
    covered = np.zeros((80, 7))
    for row in range(80):
        found = thresholds(labels, _softmax(labels, generator), 0.90)
        held = (_softmax(test_labels, generator) >= found)[np.arange(len(test_labels)), test_labels]
        covered[row] = held.reshape(7, tested).mean(axis=1)
    expected = np.ceil(0.9 * (images + 1)) / (images + 1)
    assert covered.mean(axis=0) == pytest.approx(np.full(7, expected), abs=0.02)
    assert covered.mean() == pytest.approx(expected, abs=0.008)


def _softmax(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    raised = np.exp(generator.normal(0, 1, (len(labels), 7)) + 1.2 * np.eye(7)[labels])
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def test_the_threshold_is_the_finite_sample_quantile() -> None:
    """Of 19 probabilities 0.05, 0.10 ... 0.95 the 18th highest: ceil(20 x 0.9) = 18."""
    labels = np.full(19, 4)
    probabilities = np.zeros((19, 7))
    probabilities[:, 4] = np.arange(1, 20) / 20
    found = thresholds(labels, probabilities, 0.90)
    assert found[4] == pytest.approx(0.10)
    assert (np.delete(found, 4) == 0).all()


def test_a_class_with_too_few_lesions_is_in_every_set_and_is_named() -> None:
    validation, test = predictions(400, seed=1, split="val"), predictions(150, seed=2)
    lesions = validation[validation["dx"] == "df"]["lesion_id"].unique()
    assert len(lesions) > 8 == fewest(0.90) - 1
    few = validation[(validation["dx"] != "df") | validation["lesion_id"].isin(lesions[:8])]
    enough = validation[(validation["dx"] != "df") | validation["lesion_id"].isin(lesions[:9])]
    found = conformal(few, test)
    assert found["too_few"] == ["df"]
    df = found["per_class"]["df"]
    assert (df["calibration_lesions"], df["threshold"], df["coverage"]) == (8, 0.0, 1.0)
    assert "df" not in conformal(enough, test)["too_few"]
    json.dumps(found, allow_nan=False)


def test_each_lesion_counts_once_and_sets_are_counted() -> None:
    validation, test = predictions(400, seed=1, split="val"), predictions(150, seed=2)
    found = conformal(validation, test, seed=5)
    assert found["lesions"] == test["lesion_id"].nunique() == 150
    classes = found["per_class"].values()
    assert sum(one["lesions"] for one in classes) == 150
    weighted = [one["lesions"] * np.array([one["coverage"], one["mean_set_size"]]) for one in classes]
    assert np.sum(weighted, axis=0) / 150 == pytest.approx([found["coverage"], found["mean_set_size"]])
    assert found["coverage"] > 0.8
    assert found["mean_set_size"] < 5
    assert conformal(validation.sample(frac=1, random_state=1), test, seed=5) == found
    drawn = one_each(test, np.random.default_rng(0))
    assert drawn["lesion_id"].is_unique
    assert drawn["image_id"].isin(test["image_id"]).all()


def test_a_class_that_no_test_lesion_has_is_none() -> None:
    validation = predictions(400, seed=1, split="val")
    test: pd.DataFrame = predictions(150, seed=2).query("dx != 'mel'")
    found = conformal(validation, test)["per_class"]["mel"]
    assert (found["lesions"], found["coverage"], found["coverage_interval"]) == (0, None, None)
    assert encode(DIAGNOSES).tolist() == list(range(7))
