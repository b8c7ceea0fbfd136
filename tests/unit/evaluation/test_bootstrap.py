"""Tests of skinml/evaluation/bootstrap.py and of the intervals of every figure."""

from __future__ import annotations

import json
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from skinml.evaluation.bootstrap import draw, draw_within, nest, number_lesions, percentile_interval, resample
from skinml.evaluation.intervals import chosen_with_intervals, measure_with_intervals
from skinml.evaluation.means import behind_means
from skinml.evaluation.metrics import SCALARS, measure, wilson_interval
from skinml.evaluation.weighted import MEANS, gather
from skinml.labels import DIAGNOSES, encode
from skinml.schemas import PROBABILITY_COLUMNS
from tests.unit.evaluation.made_up import predictions

Made = tuple[np.ndarray, np.ndarray, np.ndarray]


def _made_up(lesions: int = 120) -> Made:
    rows = predictions(lesions)
    numbers = number_lesions(rows["lesion_id"].tolist())
    return encode(rows["dx"]), numbers, rows[list(PROBABILITY_COLUMNS)].to_numpy()


def test_every_resampled_figure_is_scikit_learns_with_these_weights() -> None:
    """The slow way: for each resample one call of scikit-learn for each figure."""
    labels, lesions, probabilities = _made_up()
    together = gather(labels, probabilities, lesions)
    [resampled] = resample([together], seed=3, resamples=25)
    [weights] = draw(lesions.max() + 1, 25, seed=3, resamples=25)
    predicted, malignant = probabilities.argmax(axis=1), np.isin(labels, [0, 1, 4])
    for column in range(25):
        weight = weights[lesions, column]
        expected: dict[tuple[str, ...], float] = {
            ("accuracy",): reference.accuracy_score(labels, predicted, sample_weight=weight),
            ("brier",): np.average(((probabilities - np.eye(7)[labels]) ** 2).sum(axis=1), weights=weight),
            ("malignant_auc",): reference.roc_auc_score(
                malignant, probabilities[:, [0, 1, 4]].sum(axis=1), sample_weight=weight
            ),
        }
        for number, name in enumerate(DIAGNOSES):
            of_class = labels == number
            if not weight[of_class].sum():
                assert np.isnan(resampled["per_class", name, "sensitivity"][column])
                continue
            score = probabilities[:, number]
            expected |= {
                ("per_class", name, "auc"): reference.roc_auc_score(of_class, score, sample_weight=weight),
                ("per_class", name, "average_precision"): reference.average_precision_score(
                    of_class, score, sample_weight=weight
                ),
                ("per_class", name, "sensitivity"): reference.recall_score(
                    of_class, predicted == number, sample_weight=weight
                ),
                ("per_class", name, "specificity"): reference.recall_score(
                    ~of_class, predicted != number, sample_weight=weight
                ),
            }
        for figure, value in expected.items():
            assert resampled[figure][column] == pytest.approx(value), (figure, column)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn warns of predicted classes that were not drawn
            balanced = reference.balanced_accuracy_score(labels, predicted, sample_weight=weight)
        assert resampled["balanced_accuracy",][column] == pytest.approx(balanced)
        present = [resampled["per_class", name, "auc"][column] for name in DIAGNOSES]
        assert resampled["macro_auc",][column] == pytest.approx(np.nanmean(present))


def test_lesions_are_drawn_with_replacement_and_as_a_whole() -> None:
    pieces = list(draw(50, 300, seed=1, resamples=1_000))
    assert [piece.shape for piece in pieces] == [(50, 300)] * 3 + [(50, 100)]
    weights = np.concatenate(pieces, axis=1)
    assert (weights.sum(axis=0) == 50).all()
    assert weights.mean(axis=1) == pytest.approx(np.ones(50), abs=0.15)
    assert weights.var(axis=1) == pytest.approx(np.full(50, 0.98), abs=0.25)  # binomial: 50 x 1/50 x 49/50
    np.testing.assert_array_equal(weights, np.concatenate(list(draw(50, 70, seed=1, resamples=1_000)), axis=1))
    assert not np.array_equal(weights, np.concatenate(list(draw(50, 70, seed=2, resamples=1_000)), axis=1))


def test_metrics_are_measures_and_every_number_has_its_interval() -> None:
    labels, lesions, probabilities = _made_up()
    metrics, intervals = measure_with_intervals(labels, lesions, probabilities, seed=1, resamples=200)
    assert metrics == measure(labels, probabilities)
    assert set(intervals) == {*SCALARS, "per_class"}
    _hold(metrics, intervals)
    for name in DIAGNOSES:
        assert intervals["per_class"][name].keys() == metrics["per_class"][name].keys() - {"images"}
        _hold(metrics["per_class"][name], intervals["per_class"][name])
    again = measure_with_intervals(
        labels, [f"l{number:03d}" for number in lesions], probabilities, seed=1, resamples=200
    )
    assert again == (metrics, intervals)
    assert json.loads(json.dumps(intervals, allow_nan=False)) == intervals
    assert measure_with_intervals(labels, lesions, probabilities, seed=2, resamples=200)[1] != intervals


def _hold(metrics: dict[str, Any], intervals: dict[str, Any]) -> None:
    for name, interval in intervals.items():
        if name not in ("per_class", "ece"):
            low, high = interval
            assert low <= metrics[name] <= high
            assert 0 <= low < high <= (2 if name == "brier" else 1)


def test_images_of_one_lesion_say_no_more_than_one_image() -> None:
    """Four copies of each image, four times as sure if they counted as lesions."""
    labels, lesions, probabilities = _made_up()
    _, once = measure_with_intervals(labels, lesions, probabilities, resamples=300)
    copies = (np.repeat(labels, 4), np.repeat(lesions, 4), np.repeat(probabilities, 4, axis=0))
    _, copied = measure_with_intervals(*copies, resamples=300)
    assert copied["accuracy"] == pytest.approx(once["accuracy"])
    _, independent = measure_with_intervals(copies[0], np.arange(len(copies[0])), copies[2], resamples=300)
    widths = [high - low for low, high in (once["accuracy"], independent["accuracy"])]
    assert widths[1] < 0.6 * widths[0]


def test_what_is_undefined_has_no_interval() -> None:
    metrics, intervals = measure_with_intervals(
        np.array([5, 5, 2]), np.array([7, 7, 9]), np.eye(7)[[5, 5, 2]], resamples=50
    )
    assert metrics["melanoma_sensitivity"] is intervals["melanoma_sensitivity"] is None
    assert intervals["per_class"]["mel"]["auc"] is None


def test_a_proportion_that_is_1_in_every_resample_gets_wilsons_interval_of_its_lesions() -> None:
    """Nine lesions without an error do not show that there is none: SciPy's interval of 9 of 9."""
    labels = np.repeat([4, 5], [5, 9])
    lesions = np.concatenate([[0, 0, 0, 1, 1], 2 + np.arange(9)])
    _, intervals = measure_with_intervals(labels, lesions, np.eye(7)[labels], resamples=50)
    for figure, count in (("accuracy", 11), ("melanoma_sensitivity", 2), ("melanoma_specificity", 9)):
        assert intervals[figure] == pytest.approx(list(wilson_interval(count, count)))
    assert intervals["per_class"]["nv"]["sensitivity"] == intervals["melanoma_specificity"]
    assert intervals["per_class"]["mel"]["fraction_misclassified"] == pytest.approx(list(wilson_interval(0, 2)))


@pytest.mark.parametrize("right", [True, False])
def test_a_mean_over_classes_that_is_0_or_1_in_every_resample_is_no_certainty(right: bool) -> None:
    """Two melanomas and nine naevi are few; in a subgroup likewise."""
    labels = np.repeat([4, 5], [2, 9])
    probabilities = np.eye(7)[labels if right else 9 - labels]
    _, intervals = measure_with_intervals(labels, np.arange(11), probabilities, resamples=50)
    low, high = intervals["balanced_accuracy"]
    one_class = wilson_interval(2 * right, 2)
    assert (one_class[0] < low < high == 1.0) if right else (low == 0.0 < high < one_class[1])
    rows = pd.DataFrame(probabilities, columns=list(PROBABILITY_COLUMNS))
    rows = rows.assign(dx=np.array(DIAGNOSES)[labels], lesion_id=[str(number) for number in range(11)])
    chosen = chosen_with_intervals(rows, ["balanced_accuracy", "malignant_auc"], resamples=50)
    assert chosen["intervals"]["balanced_accuracy"] == pytest.approx([low, high])


def test_an_interval_is_of_the_resamples_that_define_the_figure() -> None:
    values = np.array([np.nan] * 3 + list(np.linspace(0, 1, 101)))
    assert percentile_interval(values) == pytest.approx((0.025, 0.975))
    assert percentile_interval(np.array([np.nan, np.nan, 1.0])) is None
    assert percentile_interval(np.array([])) is None
    assert nest({("a",): 1, ("b", "c"): 2, ("b", "d"): 3}) == {"a": 1, "b": {"c": 2, "d": 3}}


@pytest.mark.parametrize(("spread_of_df", "lesions"), [(1.0, 64), (100.0, 10)])
def test_a_mean_over_classes_is_as_sure_as_the_lesions_that_it_varies_with(
    spread_of_df: float, lesions: int
) -> None:
    """Seven classes of ten lesions each have 7 x 9 degrees of freedom; if df alone varies, its own 9."""
    generator = np.random.default_rng(0)
    names: list[tuple[str, ...]] = [
        ("per_class", name, figure) for name in DIAGNOSES for figure in MEANS.values()
    ]
    spread = {name: spread_of_df if name[1] == "df" else 1.0 for name in names}
    resampled = {name: spread[name] * generator.normal(size=20_000) for name in names}
    found = behind_means(resampled, dict.fromkeys(names, 10))
    assert found.keys() == {(mean,) for mean in MEANS}
    assert all(abs(count - lesions) <= 1 for count in found.values())


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="2 lesions for 3 labels"):
        measure_with_intervals(np.array([1, 2, 3]), ["a", "b"], np.eye(7)[[1, 2, 3]])


def test_two_thousand_resamples_of_a_test_set_take_seconds() -> None:
    """1.2 CPU s on a quiet machine; a loop over scikit-learn takes a minute."""
    labels, lesions, probabilities = _made_up(750)
    assert len(labels) > 1_400
    began = time.process_time()
    measure_with_intervals(labels, lesions, probabilities)
    assert time.process_time() - began < 8


@pytest.mark.parametrize(("classes", "each"), [(2, 1), (2, 3), (3, 1), (7, 1), (7, 2)])
@pytest.mark.parametrize("right", [True, False])
def test_a_mean_of_classes_that_are_all_right_or_all_wrong_is_no_point(
    classes: int, each: int, right: bool
) -> None:
    """Resampling shows no variation then, and a model with two lucky images had met the floor of chance."""
    labels = np.repeat(np.arange(classes), each)
    probabilities = np.eye(7)[labels if right else (labels + 1) % classes] * 0.65 + 0.05
    metrics, intervals = measure_with_intervals(labels, np.arange(len(labels)), probabilities, resamples=300)
    expected = wilson_interval(right * classes * each, classes * each)
    assert metrics["balanced_accuracy"] == right
    assert intervals["balanced_accuracy"] == pytest.approx(expected)
    if (classes, each) == (2, 1):
        assert intervals["balanced_accuracy"][0] < 1 / 2


def test_one_class_that_does_not_vary_widens_a_mean_by_its_share() -> None:
    """One melanoma, found, and sixty naevi, of which ten are missed: balanced accuracy 0.92."""
    labels = np.repeat([4, 5], [1, 60])
    probabilities = np.eye(7)[np.where(np.arange(61) % 6 == 3, 4, labels)]
    metrics, intervals = measure_with_intervals(labels, np.arange(61), probabilities)
    known = intervals["per_class"]["mel"]["sensitivity"][0]
    low, high = intervals["balanced_accuracy"]
    assert low < metrics["balanced_accuracy"] - (1 - known) / 2, "as if the naevi were certain"
    assert low > metrics["balanced_accuracy"] - (1 - known), "the melanoma is half of it"
    assert high < 1, "a class that is all right adds nothing above"


def test_draws_within_strata_are_uniform_and_keep_each_strata_s_number() -> None:
    strata = np.array([2, 0, 2, 2, 0, 5])
    [weights] = draw_within(strata, 4_000, seed=1, resamples=4_000)
    for stratum in (0, 2, 5):
        assert (weights[strata == stratum].sum(axis=0) == (strata == stratum).sum()).all()
    assert weights.mean(axis=1) == pytest.approx(1, abs=0.05)
    assert (weights[0] == 0).mean() == pytest.approx((2 / 3) ** 3, abs=0.03)
    pieces = list(draw_within(strata, 7, seed=1, resamples=4_000))
    assert (np.concatenate(pieces, axis=1) == weights).all(), "the size of a piece changes nothing"
