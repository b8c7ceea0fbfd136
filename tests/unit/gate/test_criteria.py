"""Tests of skinml/gate/criteria.py: what an interval says of its margin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.gate.criteria import invariant_variance, judge_margin
from skinml.gate.paired import Figure
from skinml.gate.rules import Margin, Rules

RULES = Rules()
MARGIN = Margin(figure="malignant_sensitivity", name="malignant sensitivity", margin=0.02)
ERROR = Margin(figure="ece", name="ECE", margin=0.02, lower_is_better=True)
NORMAL = np.random.default_rng(0).normal(size=4_000)
NORMAL -= NORMAL.mean()


def figure(difference: float, deviation: float) -> Figure:
    return Figure(0.5, 0.5 + difference, difference + deviation * NORMAL)


@pytest.mark.parametrize(
    ("difference", "deviation", "verdict"),
    [
        (0.0, 0.005, "not worse"),
        (-0.008, 0.005, "not worse"),  # a shown loss, but within the margin
        (-0.015, 0.005, "worse"),  # an equal challenger would have been within it
        (-0.10, 0.03, "worse"),  # all of the interval is a loss
        (-0.03, 0.03, "not assessable"),
        (0.0, 0.03, "not assessable"),
        (0.05, 0.03, "not worse"),
    ],
)
def test_the_three_verdicts(difference: float, deviation: float, verdict: str) -> None:
    assert judge_margin(MARGIN, figure(difference, deviation), 5_000, RULES).verdict == verdict
    mirrored = judge_margin(ERROR, figure(-difference, deviation), 5_000, RULES)
    assert mirrored.verdict == verdict
    assert mirrored.margin == 0.02


@given(st.floats(-0.5, 0.5), st.floats(0, 0.3), st.integers(1, 5_000))
def test_only_what_is_within_the_margin_passes(difference: float, deviation: float, lesions: int) -> None:
    found = judge_margin(MARGIN, figure(difference, deviation), lesions, RULES)
    assert found.interval is not None
    low, high = found.interval
    assert low <= difference <= high
    assert (found.verdict == "not worse") == (low >= -0.02)
    if found.verdict == "not assessable":
        equal = judge_margin(MARGIN, figure(0.0, deviation), lesions, RULES)
        assert equal.verdict == "not assessable", "an equal challenger could have passed"


@pytest.mark.parametrize(
    ("lesions", "verdict"), [(3, "not assessable"), (182, "not assessable"), (183, "not worse")]
)
def test_lesions_that_do_not_change_prove_nothing_unless_they_are_many(lesions: int, verdict: str) -> None:
    """1 - 0.025 ** (1 / 183) is the first below 0.02."""
    assert judge_margin(MARGIN, figure(0.0, 0.0), lesions, RULES).verdict == verdict


def test_an_undefined_figure_is_not_assessable() -> None:
    nothing = Figure(float("nan"), float("nan"), np.full(9, np.nan))
    for found in (judge_margin(MARGIN, nothing, 9, RULES), judge_margin(MARGIN, None, 0, RULES)):
        assert (found.verdict, found.interval, found.champion) == ("not assessable", None, None)


def test_a_diagnosis_that_does_not_vary_adds_what_one_more_lesion_would() -> None:
    varying, still = np.array([0.0, 0.1]), np.zeros(2)
    assert invariant_variance({"mel": varying}, {"mel": 9}) == 0
    assert invariant_variance({"mel": varying, "df": still}, {"mel": 9, "df": 9}) == pytest.approx(
        0.1 * 0.9 / 9
    )
