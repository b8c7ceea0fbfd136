"""Tests of skinml/evaluation/comparison.py."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from skinml.errors import RequestError
from skinml.evaluation.comparison import HEADLINE, compare, exact_binomial
from skinml.evaluation.metrics import measure
from skinml.labels import DIAGNOSES, encode
from skinml.schemas import PROBABILITY_COLUMNS
from tests.unit.evaluation.made_up import predictions

FIRST, SECOND = predictions(signal=1.0), predictions(signal=2.5)
P = list(PROBABILITY_COLUMNS)


def test_both_values_are_measures_and_the_difference_lies_in_its_interval() -> None:
    found = compare(FIRST, SECOND, seed=1, resamples=300)
    assert (found["images"], found["lesions"]) == (len(FIRST), FIRST["lesion_id"].nunique())
    assert found["left_out"] == {"trained_on": 0, "only_first": 0, "only_second": 0}
    assert set(found["metrics"]) == set(HEADLINE)
    for side, rows in (("first", FIRST), ("second", SECOND)):
        metrics = measure(encode(rows["dx"]), rows[P].to_numpy())
        for name in HEADLINE:
            assert found["metrics"][name][side] == pytest.approx(metrics[name])
    for one in found["metrics"].values():
        assert one["difference"] == pytest.approx(one["second"] - one["first"])
        assert one["interval"][0] <= one["difference"] <= one["interval"][1]
    assert found["metrics"]["accuracy"]["interval"][0] > 0
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert compare(FIRST.sample(frac=1, random_state=1), SECOND, seed=1, resamples=300) == found


def test_the_other_way_round_every_difference_changes_its_sign() -> None:
    there, back = compare(FIRST, SECOND, resamples=200), compare(SECOND, FIRST, resamples=200)
    for name in HEADLINE:
        assert back["metrics"][name]["difference"] == pytest.approx(-there["metrics"][name]["difference"])
        low, high = there["metrics"][name]["interval"]
        assert back["metrics"][name]["interval"] == pytest.approx([-high, -low])
    assert back["mcnemar"]["p_value"] == there["mcnemar"]["p_value"]
    assert [one["lesion_id"] for one in back["changed"]["worse"]] == [
        one["lesion_id"] for one in there["changed"]["better"]
    ]


def test_a_model_compared_with_itself_differs_by_nothing() -> None:
    found = compare(FIRST, FIRST, resamples=100)
    assert all(one["difference"] == 0 and one["interval"] == [0, 0] for one in found["metrics"].values())
    assert found["mcnemar"] == {"unit": "lesion", "only_first_right": 0, "only_second_right": 0, "p_value": 1.0}
    assert found["changed"] == {"worse": [], "better": []}


def test_pairing_makes_the_interval_narrower_than_two_of_their_own() -> None:
    """The second model is the first with one lesion in twenty mended."""
    mended = FIRST.copy()
    chosen = mended["lesion_id"].str.endswith("0")
    mended.loc[chosen, P] = np.eye(7)[encode(mended.loc[chosen, "dx"])]
    found = compare(FIRST, mended, resamples=500)["metrics"]["accuracy"]
    assert found["interval"][1] - found["interval"][0] < 0.12


def _certain(dx: list[str], said: list[str], lesions: list[str]) -> pd.DataFrame:
    rows = FIRST.head(len(dx)).copy().assign(dx=dx, lesion_id=lesions)
    rows[P] = np.eye(7)[encode(said)]
    return rows


def test_what_changed_and_mcnemar_by_hand() -> None:
    """Lesion a: both images mended. b: one of two lost, so not right. c: stays wrong. d: stays right."""
    dx, lesions = ["mel", "mel", "nv", "nv", "bkl", "df"], ["a", "a", "b", "b", "c", "d"]
    first = _certain(dx, ["nv", "nv", "nv", "nv", "nv", "df"], lesions)
    second = _certain(dx, ["mel", "mel", "mel", "nv", "mel", "df"], lesions)
    found = compare(first, second, resamples=50)
    images = first["image_id"].tolist()
    assert found["changed"]["better"] == [
        {
            "lesion_id": "a",
            "dx": "mel",
            "images": [{"image_id": name, "first": "nv", "second": "mel"} for name in images[:2]],
        }
    ]
    [worse] = found["changed"]["worse"]
    assert (worse["lesion_id"], worse["images"]) == (
        "b",
        [{"image_id": images[2], "first": "nv", "second": "mel"}],
    )
    assert found["mcnemar"] == {"unit": "lesion", "only_first_right": 1, "only_second_right": 1, "p_value": 1.0}
    assert found["metrics"]["accuracy"]["first"] == pytest.approx(3 / 6)
    assert found["metrics"]["accuracy"]["second"] == pytest.approx(4 / 6)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemars_test_is_scipys_binomial_test(one: int, other: int) -> None:
    expected = binomtest(min(one, other), one + other, 0.5).pvalue if one + other else 1.0
    assert exact_binomial(min(one, other), one + other) == pytest.approx(expected)


def test_images_that_either_was_trained_on_and_those_of_one_alone_are_left_out_and_counted() -> None:
    first = FIRST.assign(image_trained_on=FIRST["image_id"].str.endswith("1"))
    second = SECOND.assign(lesion_trained_on=SECOND["lesion_id"].str.endswith("2"))
    gone = first["image_trained_on"] | second["lesion_trained_on"]
    found = compare(first.iloc[3:], second.iloc[:-5], resamples=50)
    assert found["left_out"] == {"trained_on": int(gone.iloc[3:-5].sum()), "only_first": 5, "only_second": 3}
    assert found["images"] == int((~gone).iloc[3:-5].sum())


def test_validation_images_do_not_count() -> None:
    with_validation = pd.concat([FIRST, predictions(split="val")], ignore_index=True)
    assert compare(with_validation, SECOND, resamples=50)["images"] == len(FIRST)


def test_an_undefined_figure_is_none() -> None:
    naevi = FIRST["dx"] == "nv"
    found = compare(FIRST[naevi], SECOND[naevi], resamples=50)
    assert set(found["metrics"]["melanoma_sensitivity"].values()) == {None}
    json.dumps(found, allow_nan=False)


def test_what_cannot_be_compared_is_refused_in_one_line() -> None:
    relabelled = SECOND.copy()
    relabelled.loc[7, "dx"] = next(name for name in DIAGNOSES if name != FIRST["dx"][7])
    other = SECOND.rename(columns={"p_vasc": "p_scc"})
    cases = [
        (
            predictions(split="test").assign(image_id=lambda rows: "x" + rows["image_id"]),
            "no test image that both",
        ),
        (SECOND.assign(lesion_trained_on=True), f"({len(FIRST)} in common were trained on"),
        (
            relabelled,
            f"{FIRST['image_id'][7]} is {FIRST['dx'][7]} for the first model and {relabelled['dx'][7]}",
        ),
        (other, "the second model has the classes akiec, bcc, bkl, df, mel, nv, scc, not akiec"),
        (SECOND.drop(columns="p_vasc"), "the second model has the classes akiec, bcc, bkl, df, mel, nv, not"),
    ]
    for second, words in cases:
        with pytest.raises(RequestError) as refusal:
            compare(FIRST, second)
        assert words in str(refusal.value)
        assert "\n" not in str(refusal.value)
