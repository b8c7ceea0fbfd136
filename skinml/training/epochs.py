"""Fit epoch after epoch: measure each, keep the best or the last, stop early or if the loss is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.evaluation.metrics import measure
from skinml.training.feed import Feed
from skinml.training.learner import Learner
from skinml.training.settings import Settings

OnEpoch = Callable[[int, dict[str, float]], None]
Say = Callable[[str], None]
Predict = Callable[[], NDArray[np.float64]]
"""Probabilities of the validation images by the weights that count, shape (n, 7)."""

Weights = list[NDArray[Any]]
JUDGED_BY = "val_balanced_accuracy"


@dataclass
class Course:
    """What a fit has come to after some epochs.

    Attributes:
        history: loss, accuracy, val_loss, val_accuracy, val_balanced_accuracy: one value an epoch.
        kept: the weights to keep so far, in the order of the network's; None before the first epoch.
        kept_epoch: whose they are, counted from 1.
        stopped: why the fit stopped before its last epoch; empty if it did not.
        pace: seconds, images_per_second and seconds waited for batches, one value an epoch of this process.

    """

    history: dict[str, list[float]] = field(default_factory=dict)
    kept: Weights | None = None
    kept_epoch: int = 0
    stopped: str = ""
    pace: dict[str, list[float]] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return len(self.history.get("loss", ()))

    def take(self, metrics: dict[str, float], weights: Weights, settings: Settings) -> None:
        """Add an epoch, and keep its weights if the settings say so."""
        best = max(self.history.get(JUDGED_BY, [-1.0]))
        for name, value in metrics.items():
            self.history.setdefault(name, []).append(value)
        if settings.keep == "last" or metrics[JUDGED_BY] > best:
            self.kept, self.kept_epoch = weights, self.epochs

    def without_gain(self) -> int:
        """Epochs since the one with the best balanced accuracy on validation."""
        values = self.history[JUDGED_BY]
        return len(values) - 1 - int(np.argmax(values))


def run_epochs(
    learner: Learner,
    feed: Feed,
    labels: NDArray[np.int64],
    predict: Predict,
    settings: Settings,
    epochs: int,
    course: Course,
    on_epoch: OnEpoch,
    say: Say,
    after: Callable[[Course], None],
) -> None:
    """Fit the epochs that are left, and leave the kept weights in the learner's scorer.

    Args:
        learner: takes the steps.
        feed: gives the batches.
        labels: class numbers of the validation images, shape (n,).
        predict: probabilities of these images.
        settings: what to keep, and when to stop.
        epochs: in all.
        course: so far; what this adds is put there.
        on_epoch: called after each epoch with its history values and its pace.
        say: called with what a person should know.
        after: called when an epoch is done, to save it.

    Raises:
        RunError: the loss is not finite in the first epoch, so there is nothing to keep.

    """
    for epoch in range(course.epochs + 1, epochs + 1):
        if course.stopped:
            break
        started, waited = time.perf_counter(), feed.waited
        learner.begin(epoch)
        metrics = learner.fit(feed.epoch())
        seconds = time.perf_counter() - started
        weights: Weights = []
        if math.isfinite(metrics["loss"]):
            weights = learner.settle()
            metrics |= validate(labels, predict())
        broken = next((name for name, value in metrics.items() if not math.isfinite(value)), None)
        if broken is not None:
            _give_up(course, epoch, broken, metrics[broken])
            say(course.stopped)
            break
        course.take(metrics, weights, settings)
        pace = {
            "seconds": seconds,
            "images_per_second": len(feed.source.train) / seconds,
            "waited": feed.waited - waited,
        }
        for name, value in pace.items():
            course.pace.setdefault(name, []).append(value)
        if settings.patience and epoch < epochs and course.without_gain() >= settings.patience:
            course.stopped = (
                f"stopped after epoch {epoch} of {epochs}: no better balanced accuracy on validation for"
                f" {settings.patience} epochs"
            )
            say(course.stopped)
        after(course)
        on_epoch(epoch, metrics | pace)
    if course.kept is not None:
        learner.scorer.set_weights(course.kept)


def _give_up(course: Course, epoch: int, name: str, value: float) -> None:
    """Stop because of a value that is not finite: with the weights of the last good epoch, if there is one."""
    what = "the loss" if name == "loss" else name
    if course.kept is None:
        raise RunError(f"{what} is {value} in epoch {epoch}: the fit diverged; try another --seed")
    course.stopped = (
        f"{what} is {value} in epoch {epoch}: the fit diverged; it stops, and the weights of epoch"
        f" {course.kept_epoch} are kept. Try a lower --learning-rate, or another --seed"
    )


def validate(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """Loss, accuracy and balanced accuracy of these probabilities, (n, 7); NaN if one of them is not finite."""
    if not np.isfinite(probabilities).all():
        return dict.fromkeys(("val_loss", "val_accuracy", JUDGED_BY), math.nan)
    of_truth = probabilities[np.arange(len(labels)), labels]
    measured = measure(labels, probabilities)
    return {
        "val_loss": float(-np.log(np.maximum(of_truth, 1e-7)).mean()),  # clipped where Keras clips
        "val_accuracy": measured["accuracy"],
        JUDGED_BY: measured["balanced_accuracy"],
    }
