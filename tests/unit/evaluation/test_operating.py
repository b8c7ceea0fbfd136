"""Tests of skinml/evaluation/operating.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.evaluation.operating import choose_threshold, is_malignant, malignant_lesions, rates

MEL, NV = 4, 5


def _by(malignant: np.ndarray) -> np.ndarray:
    """Probabilities with this p_malignant, spread over akiec, bcc and mel."""
    found = np.zeros((len(malignant), 7))
    found[:, [0, 1, 4]] = malignant[:, None] * [0.2, 0.3, 0.5]
    found[:, NV] = 1 - malignant
    return found


def _made_up(lesions: int, seed: int, images: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities and lesions: a third malignant, with overlap; `images` of each lesion alike."""
    generator = np.random.default_rng(seed)
    labels = np.where(np.arange(lesions) % 3 == 0, np.array([0, 1, MEL])[np.arange(lesions) % 9 // 3], NV)
    scores = 1 / (1 + np.exp(-generator.normal(np.where(is_malignant(labels), 1, -1), 1.2)))
    return labels.repeat(images), _by(scores).repeat(images, axis=0), np.arange(lesions).repeat(images)


@given(st.integers(0, 500), st.floats(0.05, 1.0))
def test_it_is_the_highest_threshold_that_reaches_the_sensitivity(seed: int, wanted: float) -> None:
    labels, probabilities, lesions = _made_up(60, seed)
    found = choose_threshold(labels, probabilities, lesions, wanted, seed=1).value
    scores = probabilities[:, [0, 1, 4]].sum(axis=1)
    malignant = is_malignant(labels)
    assert (scores[malignant] >= found).mean() >= wanted - 1e-9
    higher = np.sort(scores[malignant & (scores > found + 1e-4)])
    for threshold in higher[:1]:
        assert (scores[malignant] >= threshold).mean() < wanted or threshold - found <= 2e-4


def test_the_interval_is_by_lesion() -> None:
    """Ten images of each lesion say no more than one, so the interval stays as wide."""
    one = choose_threshold(*_made_up(300, 3), 0.9, seed=1)
    ten = choose_threshold(*_made_up(300, 3, images=10), 0.9, seed=1)
    assert one.value == ten.value
    assert one.interval == pytest.approx(ten.interval, abs=0.01)
    low, high = one.interval
    assert low < one.value < high


def test_the_interval_holds_the_threshold_of_many_more_lesions() -> None:
    labels, probabilities, _ = _made_up(60_000, 9)
    truth = np.quantile(probabilities[:, [0, 1, 4]].sum(axis=1)[is_malignant(labels)], 0.1)
    intervals = [choose_threshold(*_made_up(300, seed), 0.9, seed=1).interval for seed in range(20)]
    assert sum(low <= truth <= high for low, high in intervals) >= 17  # 19 are expected of 95 %


def test_rates_are_counted_and_their_intervals_are_by_lesion() -> None:
    labels, probabilities, lesions = _made_up(300, 3, images=2)
    found = rates(labels, probabilities, lesions, 0.4, seed=1)
    called = probabilities[:, [0, 1, 4]].sum(axis=1) >= 0.4
    assert found.sensitivity == pytest.approx(called[labels != NV].mean())
    assert found.specificity == pytest.approx((~called)[labels == NV].mean())
    once = rates(labels[::2], probabilities[::2], lesions[::2], 0.4, seed=1)
    assert found == once
    low, high = found.sensitivity_interval or (0, 0)
    assert 0.03 < high - low < 0.2
    assert malignant_lesions(labels, lesions) == 100


def test_a_threshold_that_finds_all_gets_wilsons_interval_and_what_is_absent_none() -> None:
    labels, probabilities, lesions = np.full(30, MEL), _by(np.full(30, 0.8)), np.arange(30)
    found = rates(labels, probabilities, lesions, 0.5, seed=1)
    assert (found.sensitivity, found.specificity, found.specificity_interval) == (1.0, None, None)
    assert found.sensitivity_interval == pytest.approx((0.886, 1.0), abs=0.001)
