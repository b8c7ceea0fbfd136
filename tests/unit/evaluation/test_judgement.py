"""Tests of skinml/evaluation/judgement.py."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skinml.errors import RequestError
from skinml.evaluation.judgement import contradictions, judge, judge_predictions, refuse_contradictions
from skinml.evaluation.metrics import measure
from skinml.labels import encode
from skinml.schemas import PREDICTIONS, PROBABILITY_COLUMNS
from tests.unit.evaluation.made_up import predictions

TEST, VALIDATION = predictions(150), predictions(300, seed=1, split="val")
NOTHING = VALIDATION.head(0)
P = list(PROBABILITY_COLUMNS)


def test_a_judgement_is_plain_data_and_the_same_for_the_same_seed() -> None:
    found = judge(TEST, VALIDATION, seed=4, resamples=60)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["metrics"] == measure(encode(TEST["dx"]), TEST[P].to_numpy())
    assert found["lesions"] == 150
    assert found == judge(TEST, VALIDATION, seed=4, resamples=60)
    assert "Skin tone: not assessed." in found["notes"]
    together = pa.Table.from_pandas(pd.concat([TEST, VALIDATION]), PREDICTIONS, preserve_index=False)
    assert judge_predictions(together, 4)["metrics"] == found["metrics"]


def test_an_image_counts_as_often_as_it_is_drawn_and_its_lesion_is_resampled_as_one() -> None:
    draws = np.arange(len(TEST)) % 3 + 1
    drawn = TEST.assign(draws=draws, lesion_trained_on=draws == 3)
    found = judge(drawn, NOTHING, resamples=200)
    repeated = TEST.loc[TEST.index.repeat(draws)]
    assert found["metrics"] == pytest.approx(measure(encode(repeated["dx"]), repeated[P].to_numpy()))
    assert found["agreement"] == judge(TEST, NOTHING, resamples=200)["agreement"]
    once, often = (
        high - low
        for low, high in (
            judge(TEST, NOTHING, resamples=200)["intervals"]["accuracy"],
            found["intervals"]["accuracy"],
        )
    )
    assert often > 0.8 * once
    assert found["conformal"] is None
    assert any(note.startswith("No conformal sets") for note in found["notes"])
    assert any(
        f"{(draws == 3).sum()} of {len(TEST)} test images show a lesion" in note for note in found["notes"]
    )


def test_what_limits_the_figures_is_said() -> None:
    without = TEST[TEST["dx"] != "vasc"].reset_index(drop=True)
    found = judge(without, VALIDATION, resamples=50)
    assert found["metrics"]["absent"] == ["vasc"]
    assert "No test image is vasc: no mean counts these diagnoses." in found["notes"]
    assert any(note.startswith("Fewer than 20 test lesions of akiec (") for note in found["notes"])


def test_two_images_are_judged_too() -> None:
    for rows in (TEST.head(1), TEST.head(2)):
        json.dumps(judge(rows, VALIDATION.head(1), resamples=20), allow_nan=False)


def test_labels_that_contradict_each_other_within_a_lesion() -> None:
    torn = TEST.copy()
    [first, second] = torn.index[torn["lesion_id"].duplicated(keep=False)][:2]
    torn.loc[[first, second], ["lesion_id", "dx"]] = [["L", "mel"], ["L", "nv"]]
    names = torn.loc[[first, second], "image_id"].tolist()
    assert contradictions(TEST) == []
    refuse_contradictions(TEST)
    assert contradictions(torn) == [f"lesion L is mel in {names[0]} and nv in {names[1]}"]
    with pytest.raises(RequestError, match=r"^lesion L is mel in .* \(1 such lesions\): a lesion has one diag"):
        refuse_contradictions(torn)
    assert any(
        "1 lesions have images of several diagnoses" in note
        for note in judge(torn, VALIDATION, resamples=20)["notes"]
    )


def test_nothing_and_no_probabilities_are_refused() -> None:
    with pytest.raises(RequestError, match="no test image"):
        judge(TEST.head(0), VALIDATION)
    for value, words in ((np.nan, "p_mel is nan in row 3"), (2.0, "p_mel is 2 in row 3")):
        wrong = TEST.copy()
        wrong.loc[3, "p_mel"] = value
        with pytest.raises(ValueError, match=words):
            judge(wrong, VALIDATION)
