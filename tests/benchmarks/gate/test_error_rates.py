"""The gate's benchmark in small: equal models are not promoted, and a larger gain is shown more often."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gate.figures import exact_interval
from benchmarks.gate.inputs import Pool, draw_pair, frame_of, pool_of, true_gain, z_of_gain
from benchmarks.gate.sections.false_promotions import false_promotions
from benchmarks.gate.sections.pairs import judged_pairs
from benchmarks.gate.sections.power import power
from skinml.evaluation.metrics import measure
from skinml.gate import Rules
from skinml.labels import encode
from tests.unit.evaluation.made_up import predictions
from tests.unit.gate.made_up import P, worse_in

RULES = Rules(resamples=500)


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Three fits of 400 lesions: each has another third of the images wrong."""
    rows = predictions(lesions=400, signal=2.0)
    turn = np.random.default_rng(0).integers(0, 3, len(rows))
    return pool_of([worse_in(rows, rows["dx"].notna() & (turn == fit)) for fit in range(3)])


def _balanced_accuracy(rows: object) -> float:
    found: float = measure(encode(rows["dx"]), rows[P].to_numpy())["balanced_accuracy"]  # type: ignore[index]
    return found


def test_drawn_models_differ_by_the_gain_that_was_asked_for(pool: Pool) -> None:
    for gain in (0.0, 0.1):
        drawn = draw_pair(pool, 20_000, gain, np.random.default_rng(1))
        champion, challenger = (_balanced_accuracy(frame_of(pool, drawn, model)) for model in (0, 1))
        assert true_gain(pool, gain) == pytest.approx(gain)
        assert challenger - champion == pytest.approx(gain, abs=0.02)
        assert (z_of_gain(pool, drawn, 0, 1) > 5) is (gain > 0)


@pytest.mark.slow
def test_equal_models_are_not_promoted(pool: Pool) -> None:
    """0.25 % of 600 looks are 1.5: six or more come of chance once in 200."""
    found = false_promotions(pool, 600, 4, 4, RULES, workers=1)
    assert found["gain_shown"] <= 5
    assert found["promoted"] <= found["gain_shown"]
    assert found["audit_passed"] == 0
    assert found["audited"] == 4
    assert found["budgets_spoiled"] <= 1


@pytest.mark.slow
def test_more_lesions_and_larger_gains_are_shown_more_often(pool: Pool) -> None:
    found = power(pool, (200, 1_500), (0.02, 0.15), 10, RULES, workers=1)
    shown = {(one["lesions"], round(one["gain"], 2)): one["counts"].get("gain", 0) for one in found["cells"]}
    assert shown[200, 0.02] <= shown[200, 0.15] <= shown[1_500, 0.15]
    assert shown[1_500, 0.15] >= 9


@pytest.mark.slow
def test_each_fit_is_judged_against_each_other_one(pool: Pool) -> None:
    pairs = judged_pairs(pool, RULES)["pairs"]
    assert len(pairs) == 6
    assert all(one["decision"] != "promote" for one in pairs)


def test_the_interval_of_a_count_of_none() -> None:
    low, high = exact_interval(0, 1_000)
    assert low == 0
    assert high == pytest.approx(0.00368, abs=1e-5)
