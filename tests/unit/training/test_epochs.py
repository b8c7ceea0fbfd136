"""Tests of skinml/training/epochs.py: what is kept, and when a fit stops; its figures are written down here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.training.epochs import Course, run_epochs, validate
from skinml.training.settings import PLAIN, THESIS, Settings

LABELS = np.arange(14) % 7


class Written:
    """A learner and its feed whose losses and accuracies are given. The weights of an epoch are its number."""

    def __init__(self, losses: list[float], right: list[int]) -> None:
        self.losses, self.right = losses, right
        self.epoch_number = 0
        self.kept: list[NDArray[Any]] = []
        self.waited = 0.0
        self.scorer = self
        self.source = SimpleNamespace(train=LABELS)

    def epoch(self) -> Iterable[Any]:
        self.waited += 0.5
        return ()

    def begin(self, epoch: int) -> None:
        self.epoch_number = epoch

    def fit(self, batches: Iterable[Any]) -> dict[str, float]:
        return {"loss": self.losses[self.epoch_number - 1], "accuracy": 0.5}

    def settle(self) -> list[NDArray[Any]]:
        return [np.array(self.epoch_number)]

    def set_weights(self, weights: list[NDArray[Any]]) -> None:
        self.kept = weights

    def predict(self) -> NDArray[np.float64]:
        count = self.right[self.epoch_number - 1]
        if count < 0:
            return np.full((14, 7), math.nan)
        shown = np.where(np.arange(14) < count, LABELS, (LABELS + 1) % 7)
        found: NDArray[np.float64] = 0.01 + 0.93 * np.eye(7)[shown]
        return found


def _run(
    losses: list[float], right: list[int], settings: Settings, course: Course | None = None
) -> tuple[Course, int, list[str], list[int]]:
    """The course, the epoch whose weights are kept, what was said, and the epochs that were saved."""
    learner: Any = Written(losses, right)
    course, said, saved = course or Course(), list[str](), list[int]()
    run_epochs(
        learner,
        learner,
        LABELS,
        learner.predict,
        settings,
        len(losses),
        course,
        lambda *_: None,
        said.append,
        lambda course: saved.append(course.epochs),
    )
    return course, int(learner.kept[0]), said, saved


@pytest.mark.parametrize(("settings", "kept"), [(PLAIN, 2), (THESIS, 3)])
def test_the_best_or_the_last_epoch_is_kept(settings: Settings, kept: int) -> None:
    course, found, said, saved = _run([3, 2, 1], [2, 9, 5], settings)
    assert (found, course.kept_epoch, said, saved) == (kept, kept, [], [1, 2, 3])
    assert course.pace["waited"] == [0.5] * 3


@pytest.mark.parametrize(("settings", "kept"), [(PLAIN, 1), (THESIS, 2)])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_with_a_good_epoch(settings: Settings, kept: int, value: float) -> None:
    course, found, said, saved = _run([3, 2, value, 1], [9, 5, 14, 14], settings)
    assert (found, course.kept_epoch, saved) == (kept, kept, [1, 2])
    assert len(course.history["loss"]) == 2
    assert said == [course.stopped]
    assert f"the loss is {value} in epoch 3" in course.stopped
    assert f"the weights of epoch {kept} are kept" in course.stopped


def test_probabilities_that_are_no_numbers_stop_it_too() -> None:
    course, found, _, _ = _run([3, 2, 1], [9, 5, -1], THESIS)
    assert (found, course.stopped[:31]) == (2, "val_loss is nan in epoch 3: the")


def test_without_a_good_epoch_the_fit_fails() -> None:
    with pytest.raises(RunError, match="the loss is nan in epoch 1: the fit diverged; try another --seed"):
        _run([math.nan, 1], [5, 5], PLAIN)


def test_patience_counts_epochs_since_the_best() -> None:
    course, found, said, saved = _run([3.0] * 9, [2, 9, 5, 5, 5, 14, 14, 14, 14], replace(PLAIN, patience=3))
    assert (found, saved) == (2, [1, 2, 3, 4, 5])
    assert said == ["stopped after epoch 5 of 9: no better balanced accuracy on validation for 3 epochs"]
    again, found, said, saved = _run(
        [3.0] * 9, [2, 9, 5, 5, 5, 14, 14, 14, 14], replace(PLAIN, patience=3), course
    )
    assert (again.epochs, found, said, saved) == (5, 2, [], []), "a fit that has stopped does not go on"


def test_a_course_goes_on_where_it_was() -> None:
    first, _, _, _ = _run([3, 2], [9, 5], PLAIN)
    course, found, _, saved = _run([3, 2, 1], [9, 5, 6], PLAIN, first)
    assert (found, saved, len(course.pace["seconds"])) == (1, [3], 3)


def test_validation_is_clipped_where_keras_clips() -> None:
    measured = validate(np.array([0, 1]), np.eye(7)[[0, 2]])
    assert measured["val_loss"] == pytest.approx(-math.log(1e-7) / 2)
    assert measured["val_accuracy"] == 0.5
