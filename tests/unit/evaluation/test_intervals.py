"""Tests of skinml/evaluation/intervals.py."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from skinml.evaluation.intervals import PairedDifference, paired_lesion_bootstrap
from tests.effort import examples

Labels = NDArray[np.int64]


def _balanced(labels: Labels, predicted: Labels) -> float:
    return float(np.mean([(predicted[labels == number] == number).mean() for number in np.unique(labels)]))


def _drawn(generator: np.random.Generator, lesions: int, flips: float) -> tuple[Labels, Labels, Labels, Labels]:
    """Labels, lesions and two predictions; a lesion has one to four images, and flips as a whole."""
    images = generator.integers(1, 5, lesions)
    of = np.repeat(np.arange(lesions), images)
    labels = generator.integers(0, 7, lesions)[of]
    first = np.where(generator.random(len(of)) < 0.6, labels, (labels + 1) % 7)
    changed = (generator.random(lesions) < flips)[of]
    second = np.where(changed, generator.integers(0, 7, lesions)[of], first)
    return labels, of, first, second


def _slowly(labels: Labels, lesions: Labels, first: Labels, second: Labels) -> tuple[float, float]:
    """The same interval, one lesion drawn at a time."""
    generator = np.random.default_rng(2)
    rows = {lesion: np.flatnonzero(lesions == lesion) for lesion in np.unique(lesions)}
    differences = []
    for _ in range(400):
        chosen = []
        for number in np.unique(labels):
            of_class = np.unique(lesions[labels == number])
            chosen += [rows[lesion] for lesion in generator.choice(of_class, len(of_class))]
        drawn = np.concatenate(chosen)
        before, after = (_balanced(labels[drawn], predicted[drawn]) for predicted in (first, second))
        differences.append(after - before)
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)


def test_it_is_the_bootstrap_that_draws_one_lesion_at_a_time() -> None:
    drawn = _drawn(np.random.default_rng(1), 120, 0.1)
    labels, lesions, first, second = drawn
    found = paired_lesion_bootstrap(*drawn, classes=7, seed=1)
    assert found.difference == pytest.approx(_balanced(labels, second) - _balanced(labels, first))
    assert (found.low, found.high) == pytest.approx(_slowly(*drawn), abs=0.012)
    assert found.images == len(labels)
    assert found.lesions == tuple(len(np.unique(lesions[labels == number])) for number in range(7))


def test_images_of_one_lesion_widen_it() -> None:
    labels, _, first, second = _drawn(np.random.default_rng(3), 400, 0.1)
    alone = paired_lesion_bootstrap(labels, np.arange(len(labels)), first, second, classes=7, seed=1)
    _, lesions, *_ = _drawn(np.random.default_rng(3), 400, 0.1)
    together = paired_lesion_bootstrap(labels, lesions, first, second, classes=7, seed=1)
    assert together.difference == alone.difference
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


def test_it_covers_the_true_difference() -> None:
    """Of 200 test sets of one population without a difference, about 190 intervals hold 0."""
    generator = np.random.default_rng(4)
    found = [
        paired_lesion_bootstrap(*_drawn_evenly(generator, 700), classes=7, seed=number) for number in range(200)
    ]
    assert 180 <= sum(one.low <= 0 <= one.high for one in found) <= 199


def _drawn_evenly(generator: np.random.Generator, images: int) -> tuple[Labels, Labels, Labels, Labels]:
    """Two networks that are right equally often, on images of a lesion each."""
    labels = np.arange(images) % 7
    predicted = [np.where(generator.random(images) < 0.7, labels, (labels + 1) % 7) for _ in range(2)]
    return labels, np.arange(images), predicted[0], predicted[1]


@settings(max_examples=examples(30))
@given(st.integers(0, 2**32), st.integers(1, 60), st.floats(0, 1))
def test_any_predictions_have_an_interval_within_bounds(seed: int, lesions: int, flips: float) -> None:
    drawn = _drawn(np.random.default_rng(seed), lesions, flips)
    found = paired_lesion_bootstrap(*drawn, classes=7, seed=seed, resamples=200)
    assert -1 <= found.low <= found.high <= 1
    assert -1 <= found.difference <= 1
    assert found == paired_lesion_bootstrap(*drawn, classes=7, seed=seed, resamples=200)
    labels, of, first, second = drawn
    assert paired_lesion_bootstrap(labels, of, first, first, classes=7, seed=1).high == 0
    turned = np.random.default_rng(seed).permutation(lesions)[of]
    assert paired_lesion_bootstrap(labels, turned, first, second, classes=7, seed=1).lesions == found.lesions


def test_a_class_without_images_is_left_out() -> None:
    labels = np.array([0, 0, 3, 3])
    found = paired_lesion_bootstrap(
        labels, np.arange(4), labels, np.array([0, 1, 3, 3]), classes=7, seed=1, resamples=100
    )
    assert isinstance(found, PairedDifference)
    assert (found.difference, found.lesions) == (-0.25, (2, 0, 0, 2, 0, 0, 0))


def test_a_test_set_of_1500_images_costs_a_fraction_of_a_second() -> None:
    drawn = _drawn(np.random.default_rng(5), 1100, 0.02)
    began = time.process_time()
    paired_lesion_bootstrap(*drawn, classes=7, seed=1)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("labels", "predicted", "said"),
    [
        ([], [], r"have shapes \[\(0,\)\]"),
        ([0, 1], [0, 1, 2], r"have shapes \[\(2,\), \(3,\)\]"),
        ([0, 7], [0, 1], "labels are within 0 to 7, not within 0 to 6"),
        ([-1, 2], [0, 1], "labels are within -1 to 2"),
    ],
)
def test_what_does_not_fit_together_is_refused(labels: list[int], predicted: list[int], said: str) -> None:
    truth = np.array(labels, dtype=np.int64)
    with pytest.raises(ValueError, match=said):
        paired_lesion_bootstrap(truth, truth, truth, np.array(predicted, dtype=np.int64), classes=7, seed=1)
