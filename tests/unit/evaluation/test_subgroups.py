"""Tests of skinml/evaluation/subgroups.py and selective.py."""

from __future__ import annotations

import json

import numpy as np
import pytest

from skinml.evaluation.intervals import measure_with_intervals
from skinml.evaluation.metrics import measure
from skinml.evaluation.selective import STEPS, keep_certain, risk_coverage
from skinml.evaluation.subgroups import FIGURES, groups_of, subgroups
from skinml.labels import encode
from skinml.schemas import PROBABILITY_COLUMNS
from tests.unit.evaluation.made_up import predictions

TEST = predictions()
P = list(PROBABILITY_COLUMNS)


def test_every_image_is_in_one_group_of_each_kind_and_unknown_is_one() -> None:
    found = subgroups(TEST, resamples=50)
    assert list(found) == ["sex", "age", "localization", "source", "skin_tone"]
    assert found["skin_tone"] == "not assessed"
    assert list(found["age"]) == ["0-29", "30-49", "50-69", "70 and over", "unknown"]
    assert list(found["sex"]) == ["female", "male", "unknown"]
    for column in ("sex", "age", "localization", "source"):
        assert sum(group["images"] for group in found[column].values()) == len(TEST)
    json.dumps(found, allow_nan=False)


def test_a_group_is_judged_as_if_it_were_the_test_set() -> None:
    chosen = TEST[TEST["sex"] == "female"]
    group = subgroups(TEST, seed=2, resamples=100)["sex"]["female"]
    labels, probabilities = encode(chosen["dx"]), chosen[P].to_numpy()
    metrics, intervals = measure_with_intervals(
        labels, chosen["lesion_id"].tolist(), probabilities, seed=2, resamples=100
    )
    assert (group["images"], group["lesions"]) == (len(chosen), chosen["lesion_id"].nunique())
    assert group["absent"] == metrics["absent"]
    assert group["metrics"] == pytest.approx({name: metrics[name] for name in FIGURES})
    for name in FIGURES:
        assert group["intervals"][name] == pytest.approx(intervals[name])


def test_a_group_without_melanoma_says_so() -> None:
    found = subgroups(TEST.assign(source=np.where(TEST["dx"] == "mel", "there", "here")), resamples=50)
    assert found["source"]["here"]["absent"] == ["mel"]
    assert found["source"]["here"]["metrics"]["melanoma_sensitivity"] is None
    assert found["source"]["here"]["intervals"]["melanoma_sensitivity"] is None


def test_ages_fall_into_the_band_that_begins_at_or_before_them() -> None:
    rows = TEST.head(6).assign(
        age=[0.0, 29.9, 30.0, 69.0, 70.0, 120.0], sex=None, localization=None, source=None
    )
    assert groups_of(rows)["age"].tolist() == ["0-29", "0-29", "30-49", "50-69", "70 and over", "70 and over"]
    assert set(groups_of(rows)["source"]) == {"unknown"}


def test_the_least_certain_fifth_is_set_aside() -> None:
    found = risk_coverage(TEST, resamples=50)
    curve = found["curve"]
    assert len(curve) == len(STEPS)
    everything = measure(encode(TEST["dx"]), TEST[P].to_numpy())
    assert curve[0]["set_aside"] == curve[0]["melanomas_set_aside"] == 0
    assert curve[0]["balanced_accuracy"] == pytest.approx(everything["balanced_accuracy"])
    images = [row["images"] for row in curve]
    assert images == sorted(images, reverse=True)
    left = TEST[keep_certain(TEST[P].max(axis=1).to_numpy(), 0.20)]
    assert len(TEST) - len(left) == int(0.2 * len(TEST))
    fifth = found["without_20_percent"]
    assert fifth["images"] == len(left) == curve[4]["images"]
    rest = measure(encode(left["dx"]), left[P].to_numpy())
    for name in ("accuracy", "balanced_accuracy", "melanoma_sensitivity", "malignant_sensitivity"):
        assert fifth["metrics"][name] == curve[4][name] == pytest.approx(rest[name])
        low, high = fifth["intervals"][name]
        assert low <= fifth["metrics"][name] <= high
    melanomas = [int((rows["dx"] == "mel").sum()) for rows in (TEST, left)]
    assert curve[4]["melanomas_set_aside"] == pytest.approx(1 - melanomas[1] / melanomas[0])
    json.dumps(found, allow_nan=False)


def test_a_network_that_is_sure_of_what_it_has_right_gets_better() -> None:
    """Certain where right, 0.4 against 0.35 where wrong."""
    labels = encode(TEST["dx"])
    wrong = np.arange(len(TEST)) % 6 == 0
    probabilities = np.eye(7)[labels] * 0.9 + 0.1 / 7
    other = 0.4 * np.eye(7)[(labels + 1) % 7] + 0.35 * np.eye(7)[labels] + 0.25 * np.eye(7)[(labels + 2) % 7]
    probabilities[wrong] = other[wrong]
    curve = risk_coverage(TEST.assign(**dict(zip(P, probabilities.T, strict=True))), resamples=0)["curve"]
    assert curve[0]["accuracy"] < 0.85
    assert curve[-1]["accuracy"] == 1
