"""Tests of skinml/evaluation/mislabelled.py: planted wrong labels come first, and a label is the lesion's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skinml.evaluation.mislabelled import COLUMNS, out_of_fold_accuracy, rank_labels
from skinml.labels import DIAGNOSES, encode
from skinml.schemas import PROBABILITY_COLUMNS


def _predictions(lesions: int = 300, wrong: int = 15) -> tuple[pd.DataFrame, set[str]]:
    """A network that is right with 0.75 on average; the labels of the first lesions were changed afterwards."""
    generator = np.random.default_rng(11)
    truth = np.arange(lesions) % 7
    images = np.repeat(np.arange(lesions), generator.integers(1, 4, lesions))
    strength = np.full((len(images), 7), 0.5)
    strength[np.arange(len(images)), truth[images]] = 9.0
    probabilities = np.array([generator.dirichlet(row) for row in strength])
    labels = truth.copy()
    labels[:wrong] = (labels[:wrong] + 1 + generator.integers(0, 6, wrong)) % 7
    frame = pd.DataFrame(probabilities, columns=list(PROBABILITY_COLUMNS)).assign(
        image_id=[f"ISIC_{number:05d}" for number in range(len(images))],
        lesion_id=[f"HAM_{number:04d}" for number in images],
        dx=np.array(DIAGNOSES)[labels[images]],
        dx_type="histo",
    )
    return frame, {f"HAM_{number:04d}" for number in range(wrong)}


def test_planted_labels_are_the_most_suspicious() -> None:
    predictions, wrong = _predictions()
    ranked = rank_labels(predictions.sample(frac=1, random_state=3))
    assert tuple(ranked.columns) == COLUMNS
    assert len(ranked) == predictions["lesion_id"].nunique()
    assert len(wrong & set(ranked["lesion_id"][:20])) >= 14
    assert ranked["margin"].is_monotonic_increasing
    issues = set(ranked.loc[ranked["issue"], "lesion_id"])
    assert len(wrong & issues) >= 7, "about half of all lesions reach their class's mean probability"
    assert len(issues - wrong) <= 1, "hardly a good label is called an issue"


def test_a_row_says_what_it_is_made_of() -> None:
    predictions, _ = _predictions()
    ranked = rank_labels(predictions).set_index("lesion_id")
    for lesion in ("HAM_0000", "HAM_0123"):
        rows, found = predictions[predictions["lesion_id"] == lesion], ranked.loc[lesion]
        mean = rows[list(PROBABILITY_COLUMNS)].mean().to_numpy()
        label = encode([str(found["dx"])])[0]
        assert found["p_given"] == pytest.approx(mean[label])
        assert found["p_suggested"] == pytest.approx(np.delete(mean, label).max())
        assert found["margin"] == pytest.approx(found["p_given"] - found["p_suggested"])
        assert found["image_ids"].split() == rows["image_id"].tolist()
        assert (found["images"], found["dx_type"]) == (len(rows), "histo")


def test_a_lesion_with_two_labels_is_named_and_nothing_cannot_be_ranked() -> None:
    predictions, _ = _predictions()
    predictions.loc[predictions["image_id"] == "ISIC_00000", "dx"] = "vasc"
    several = predictions[predictions["lesion_id"] == "HAM_0000"]
    if several["dx"].nunique() == 1:
        predictions = pd.concat([predictions, several.assign(dx="df")])
    with pytest.raises(ValueError, match="lesion HAM_0000 has several labels"):
        rank_labels(predictions)
    with pytest.raises(ValueError, match="no predictions"):
        rank_labels(predictions[:0])


def test_networks_that_have_learned_nothing_are_as_good_as_chance() -> None:
    good, _ = _predictions()
    assert out_of_fold_accuracy(good) > 0.8
    constant = good.assign(**dict.fromkeys(PROBABILITY_COLUMNS, 0.1), p_nv=0.4)
    assert out_of_fold_accuracy(constant) == pytest.approx(1 / 7)
