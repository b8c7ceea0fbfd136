"""The coverage benchmark in small: of 80 test sets, intervals hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coverage.inputs import LESIONS, draw_test_set
from benchmarks.coverage.sections.intervals import coverage
from skinml.labels import DIAGNOSES

HEADLINE = (
    "accuracy",
    "balanced_accuracy",
    "macro_auc",
    "melanoma_sensitivity",
    "malignant_auc",
    "ece",
    "brier",
)


def test_a_made_up_test_set_has_ham10000s_composition() -> None:
    assert sum(map(sum, LESIONS.values())) == 7_470
    assert sum(count * (place + 1) for one in LESIONS.values() for place, count in enumerate(one)) == 10_015
    drawn = draw_test_set(7_470, True, np.random.default_rng(0))
    of_class = [len(np.unique(drawn.lesions[drawn.labels == number])) for number in range(7)]
    assert of_class == [sum(LESIONS[name]) for name in DIAGNOSES]
    assert len(drawn.labels) == pytest.approx(10_015, rel=0.02)


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_intervals_hold_the_truth() -> None:
    """Of 80 intervals 95 % hold it, give or take 2.4 % (one standard deviation)."""
    found = coverage(80, 200, population=60_000, populations=2, workers=1)
    for name in HEADLINE:
        assert 0.87 <= found[name]["covered"] <= 1, name
        assert abs(found[name]["bias"]) < 0.01, name
    assert np.mean([found[name]["covered"] for name in HEADLINE]) == pytest.approx(0.95, abs=0.03)
