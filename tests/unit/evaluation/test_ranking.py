"""Tests of skinml/evaluation/ranking.py: each figure against scikit-learn, or threshold by threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from skinml.evaluation import ranking

# Scores of few values, so that many are equal; weights of 0 to 3, so that some images are not drawn at all.
images = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=25)
Images = list[tuple[bool, int, int]]


def _curve(drawn: Images) -> tuple[ranking.Curve, np.ndarray, np.ndarray, np.ndarray]:
    positive, score, weight = (np.array(column) for column in zip(*drawn, strict=True))
    ranked = ranking.rank(positive, score / 5)
    return ranking.curve(ranked, weight.astype(np.float32)[:, None]), positive, score / 5, weight


@given(images)
def test_areas_and_precision_are_scikit_learns_under_weights(drawn: Images) -> None:
    curve, positive, score, weight = _curve(drawn)
    found = [float(figure(curve)[0]) for figure in (ranking.area, ranking.average_precision)]
    counted = weight > 0
    if len(np.unique(positive[counted])) < 2:
        assert np.isnan([*found, ranking.area_above_sensitivity(curve)[0]]).all()
        return
    kept = positive[counted], score[counted]
    assert found[0] == pytest.approx(reference.roc_auc_score(*kept, sample_weight=weight[counted]))
    assert found[1] == pytest.approx(reference.average_precision_score(*kept, sample_weight=weight[counted]))


@given(images)
def test_the_area_above_a_sensitivity_is_that_below_the_curve_from_there_on(drawn: Images) -> None:
    curve, positive, score, weight = _curve(drawn)
    repeated = np.repeat(positive, weight), np.repeat(score, weight)
    if len(np.unique(repeated[0])) < 2:
        return
    alarms, found, _ = reference.roc_curve(*repeated, drop_intermediate=False)
    place = int((found < 0.8).sum())
    part = (0.8 - found[place - 1]) / (found[place] - found[place - 1])
    start = alarms[place - 1] + part * (alarms[place] - alarms[place - 1])
    expected = np.trapezoid([0.8, *found[place:]], [start, *alarms[place:]])
    assert ranking.area_above_sensitivity(curve)[0] == pytest.approx(expected)


@given(images, st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_the_sensitivity_at_a_specificity_is_that_of_the_best_threshold(
    drawn: Images, specificity: float
) -> None:
    curve, positive, score, weight = _curve(drawn)
    ours = float(ranking.sensitivity_at_specificity(curve, specificity)[0])
    positives, negatives = weight[positive].sum(), weight[~positive].sum()
    if not positives or not negatives:
        assert np.isnan(ours)
        return
    best = 0.0
    for threshold in [*score, np.inf]:
        called = score >= threshold
        if weight[~positive & ~called].sum() / negatives >= specificity - 1e-9:
            best = max(best, weight[positive & called].sum() / positives)
    assert ours == pytest.approx(best)


def test_a_positive_that_ties_with_one_false_alarm_too_many_is_not_found() -> None:
    positive = np.array([True, False, *[False] * 4])
    tied = ranking.curve(ranking.rank(positive, np.array([0.9, 0.9, 0, 0, 0, 0])), np.ones((6, 1), np.float32))
    assert ranking.sensitivity_at_specificity(tied, 0.80)[0] == 1  # one false alarm of five is allowed
    assert ranking.sensitivity_at_specificity(tied, 0.90)[0] == 0


def test_many_weightings_at_once_are_each_alone() -> None:
    generator = np.random.default_rng(0)
    positive, score = generator.random(50) < 0.3, generator.integers(0, 20, 50) / 20
    weights = generator.integers(0, 3, (50, 9)).astype(np.float32)
    ranked = ranking.rank(positive, score)
    for figure in (ranking.area, ranking.average_precision, ranking.area_above_sensitivity):
        alone = [figure(ranking.curve(ranked, weights[:, [column]]))[0] for column in range(9)]
        np.testing.assert_allclose(figure(ranking.curve(ranked, weights)), alone)
