"""Floors: which versions meet them, and what the evidence says."""

from __future__ import annotations

import numpy as np
import pytest

from skinml.evaluation.intervals import measure_with_intervals
from skinml.labels import DIAGNOSES
from skinml.models.floors import Floors, compared_with_champion, floors_of, judge_floors, missed
from skinml.models.judged import Judged
from skinml.requests.models import ModelsRequest
from skinml.requests.training import TrainRequest


def judged(value: float, low: float, high: float, present: int = 7) -> Judged:
    per_class = {name: {"images": int(number < present)} for number, name in enumerate(DIAGNOSES)}
    metrics = {"balanced_accuracy": value, "melanoma_sensitivity": 0.5, "per_class": per_class}
    return Judged("test images", metrics, {"balanced_accuracy": [low, high], "melanoma_sensitivity": None})


@pytest.mark.parametrize(
    ("low", "present", "verdict"),
    [(0.144, 7, "met"), (1 / 7, 7, "not met"), (0.142, 7, "not met"), (0.3, 3, "not met"), (0.34, 3, "met")],
)
def test_chance_is_one_in_the_classes_that_the_test_images_show(low: float, present: int, verdict: str) -> None:
    [criterion] = judge_floors(judged(0.5, low, 0.7, present), Floors())
    assert criterion.verdict == verdict
    assert criterion.margin == pytest.approx(1 / present)
    assert bool(missed([criterion])) == (verdict == "not met")


def test_guesses_on_few_lesions_are_not_better_than_chance() -> None:
    """Of 60 models that guess, on 15 to 20 lesions each, hardly one passes."""
    generator = np.random.default_rng(1)
    passed = 0
    for _ in range(60):
        labels = generator.choice(7, generator.integers(15, 21), p=[0.05, 0.1, 0.15, 0.05, 0.15, 0.45, 0.05])
        guesses = generator.choice(7, len(labels), p=generator.dirichlet(np.ones(7)))
        probabilities = np.full((len(labels), 7), 0.05)
        probabilities[np.arange(len(labels)), guesses] = 0.7
        metrics, intervals = measure_with_intervals(
            labels, np.arange(len(labels)), probabilities, resamples=300
        )
        [criterion] = judge_floors(Judged("test images", metrics, intervals), Floors())
        passed += criterion.verdict == "met"
    assert passed <= 3, "2.5 % are expected"


def test_a_floor_is_reached_by_the_lower_end_of_the_interval() -> None:
    for low, verdict in ((0.6, "met"), (0.599, "not met")):
        criteria = judge_floors(judged(0.7, low, 0.8), Floors(balanced_accuracy=0.6))
        assert [one.verdict for one in criteria] == ["met", verdict]


def test_what_has_no_interval_is_not_judged_and_that_is_no_pass() -> None:
    criteria = judge_floors(judged(0.7, 0.6, 0.8), Floors(melanoma_sensitivity=0.1, macro_auc=0.1))
    assert [one.verdict for one in criteria] == ["met", "not judged", "not judged"]
    assert "not judged" in missed(criteria)[0].in_words()
    [alone] = judge_floors(Judged("test images"), Floors())
    assert alone.verdict == "not judged"


def test_a_difference_is_shown_if_its_interval_lies_on_one_side_of_zero() -> None:
    found = {
        "balanced_accuracy": {"first": 0.5, "second": 0.6, "difference": 0.1, "interval": [0.02, 0.2]},
        "macro_auc": {"first": 0.9, "second": 0.8, "difference": -0.1, "interval": [-0.2, -0.01]},
        "melanoma_sensitivity": {"first": 0.5, "second": 0.5, "difference": 0.0, "interval": [0.0, 0.0]},
    }
    criteria = compared_with_champion(found)
    assert [one.verdict for one in criteria] == ["better", "worse", "no difference shown"]
    undefined = {"first": None, "second": None, "difference": None, "interval": None}
    [first, *_] = compared_with_champion({"balanced_accuracy": undefined})
    assert first.verdict == "not compared"


def test_both_verbs_take_the_floors() -> None:
    asked = {"floor_balanced_accuracy": "60%", "floor_melanoma_sensitivity": 0.5}
    for request in (TrainRequest.model_validate(asked), ModelsRequest.model_validate(asked)):
        assert floors_of(request) == Floors(balanced_accuracy=0.6, melanoma_sensitivity=0.5)
