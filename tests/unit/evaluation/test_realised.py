"""Rates of past decisions, by hand, and their intervals for few lesions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.evaluation.metrics import wilson_interval
from skinml.evaluation.realised import mean_of_independent, realised, wilson
from skinml.labels import encode


def test_a_case_worked_by_hand() -> None:
    """Three melanomas of two lesions, two found; a bcc taken for a naevus; two naevi, one taken for a mel."""
    labels = encode(["mel", "mel", "mel", "bcc", "nv", "nv"])
    predicted = encode(["mel", "mel", "bkl", "nv", "nv", "mel"])
    metrics, intervals = realised(labels, predicted, np.array([0, 0, 1, 2, 3, 4]))
    assert metrics == {
        "images": 6,
        "lesions": 5,
        "melanomas": 3,
        "malignant": 4,
        "absent": ["akiec", "bkl", "df", "vasc"],
        "accuracy": 0.5,
        "melanoma_sensitivity": pytest.approx(2 / 3),
        "melanoma_specificity": pytest.approx(2 / 3),
        "malignant_sensitivity": 0.5,
        "malignant_specificity": 0.5,
        "balanced_accuracy": pytest.approx((2 / 3 + 0 + 1 / 2) / 3),
    }
    assert intervals["malignant_sensitivity"] == pytest.approx(wilson(0.5, 3))  # three lesions
    assert intervals["melanoma_sensitivity"] == pytest.approx(wilson(2 / 3, 2))


def test_what_cannot_be_counted_is_none() -> None:
    metrics, intervals = realised(encode(["nv"]), encode(["nv"]), np.array([0]))
    assert metrics["melanoma_sensitivity"] is intervals["melanoma_sensitivity"] is None
    assert metrics["balanced_accuracy"] == 1.0


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(counts: tuple[int, int]) -> None:
    successes, trials = counts
    assert wilson(successes / trials, trials) == pytest.approx(wilson_interval(successes, trials), abs=1e-9)


def test_all_found_leaves_room_for_doubt() -> None:
    assert wilson(1.0, 3)[0] == pytest.approx(0.4385, abs=1e-4)
    assert wilson(1.0, 3)[1] == 1.0
    assert wilson(0.0, 3)[0] == 0.0


def test_the_mean_of_one_rate_is_that_rate() -> None:
    mean, interval = mean_of_independent([(0.7, [0.5, 0.8])])
    assert mean == 0.7
    assert interval == pytest.approx([0.5, 0.8])
    assert mean_of_independent([]) == (None, None)


def test_the_interval_of_a_mean_holds_the_truth() -> None:
    """Balanced accuracy of three classes of 30: 95 % intervals hold it in 93 to 97 % of 2,000 draws."""
    rng = np.random.default_rng(1)
    truth = np.array([0.9, 0.6, 0.75])
    held = 0
    for draws in rng.binomial(30, truth, size=(2000, 3)) / 30:
        _, interval = mean_of_independent([(rate, wilson(rate, 30)) for rate in draws])
        assert interval is not None
        held += interval[0] <= truth.mean() <= interval[1]
    assert 0.93 <= held / 2000 <= 0.97
