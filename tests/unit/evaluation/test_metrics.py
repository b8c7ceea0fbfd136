"""Tests of skinml/evaluation/metrics.py."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference

from skinml.evaluation.metrics import area_under_curve, confusion_matrix, measure, wilson_interval
from skinml.labels import DIAGNOSES


def _predictions(count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of all classes, and probabilities that know something about them; many of a class are equal."""
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(7), generator.integers(0, 7, count - 7)])
    fortieths = np.zeros((count, 7), np.int64)
    tied = np.ones(count, dtype=bool)
    while tied.any():  # no two highest probabilities of an image are equal
        fortieths[tied] = [generator.multinomial(40, _chances(truth)) for truth in labels[tied]]
        tied = (fortieths == fortieths.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return labels, fortieths / 40


def _chances(truth: int) -> np.ndarray:
    chances = np.array([1.0, 1.5, 1.2, 0.5, 1.3, 2.0, 0.7]) + 1.5 * np.eye(7)[truth]
    return np.asarray(chances / chances.sum())


def test_every_metric_equals_scikit_learns() -> None:
    labels, probabilities = _predictions()
    predicted = probabilities.argmax(axis=1)
    ours = measure(labels, probabilities)
    assert len(np.unique(probabilities[:, 4])) < 100
    assert ours["images"] == 400
    assert ours["absent"] == []
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted))
    assert ours["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(labels, predicted))
    assert ours["macro_auc"] == pytest.approx(
        reference.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    )
    malignant = np.isin(labels, [0, 1, 4])
    assert ours["malignant_auc"] == pytest.approx(
        reference.roc_auc_score(malignant, probabilities[:, [0, 1, 4]].sum(axis=1))
    )
    assert ours["confusion_matrix"] == reference.confusion_matrix(labels, predicted).tolist()
    precision, recall, _, support = reference.precision_recall_fscore_support(labels, predicted)
    for number, name in enumerate(DIAGNOSES):
        row = ours["per_class"][name]
        assert row["images"] == support[number]
        assert row["sensitivity"] == pytest.approx(recall[number])
        assert row["fraction_misclassified"] == pytest.approx(1 - recall[number])
        assert row["precision"] == pytest.approx(precision[number])
        assert row["specificity"] == pytest.approx(
            reference.recall_score(labels != number, predicted != number)
        )
        assert row["auc"] == pytest.approx(reference.roc_auc_score(labels == number, probabilities[:, number]))
        assert row["average_precision"] == pytest.approx(
            reference.average_precision_score(labels == number, probabilities[:, number])
        )
    for name in ("auc", "average_precision", "auc_above_80_sensitivity", "specificity"):
        mean = np.mean([ours["per_class"][diagnosis][name] for diagnosis in DIAGNOSES])
        assert ours[f"macro_{name}"] == pytest.approx(mean)
    squares = ((probabilities - np.eye(7)[labels]) ** 2).sum(axis=1)
    assert ours["brier"] == pytest.approx(squares.mean())
    assert ours["malignant_sensitivity"] == pytest.approx(
        reference.recall_score(malignant, np.isin(predicted, [0, 1, 4]))
    )
    assert ours["malignant_specificity"] == pytest.approx(
        reference.recall_score(~malignant, ~np.isin(predicted, [0, 1, 4]))
    )
    assert ours["melanoma_sensitivity"] == ours["per_class"]["mel"]["sensitivity"]
    assert ours["melanoma_specificity"] == ours["per_class"]["mel"]["specificity"]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_every_figure_of_a_class_is_counted(pairs: list[tuple[int, int]]) -> None:
    """Also of few classes, and of predicted ones that no image has; counts are whole numbers."""
    labels, predicted = np.array(pairs).T
    ours = measure(labels, np.eye(7)[predicted])
    sensitivities = []
    for number, name in enumerate(DIAGNOSES):
        row = ours["per_class"][name]
        right = sum(pair == (number, number) for pair in pairs)
        images, predictions = (sum(pair[place] == number for pair in pairs) for place in (0, 1))
        rejected = sum(number not in pair for pair in pairs)
        expected = {
            "images": images,
            "sensitivity": right / images if images else None,
            "specificity": rejected / (len(pairs) - images) if images < len(pairs) else None,
            "precision": right / predictions if predictions else None,
            "fraction_misclassified": (images - right) / images if images else None,
        }
        rankings = ["auc", "average_precision", "auc_above_80_sensitivity"]
        assert list(row) == [*expected, *rankings]
        for key, value in expected.items():
            assert row[key] is value is None or row[key] == pytest.approx(value, abs=1e-12)
        assert type(row["images"]) is int
        sensitivities += [right / images] if images else []
    assert ours["balanced_accuracy"] == pytest.approx(math.fsum(sensitivities) / len(sensitivities), abs=1e-12)
    assert ours["accuracy"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs), abs=1e-12)
    numbers = [value for name, value in ours.items() if name not in ("absent", "per_class", "confusion_matrix")]
    assert {type(value) for value in numbers} <= {int, float, type(None)}


def test_perfect_predictions() -> None:
    labels = np.arange(7)
    ours = measure(labels, np.eye(7))
    for name in ("accuracy", "balanced_accuracy", "macro_auc", "melanoma_sensitivity", "malignant_auc"):
        assert ours[name] == 1.0


def test_what_is_undefined_is_none_and_fits_json() -> None:
    ours = measure(np.array([5, 5]), np.eye(7)[[5, 5]])
    assert ours["accuracy"] == ours["balanced_accuracy"] == 1.0
    assert ours["macro_auc"] is None
    assert ours["malignant_auc"] is None
    assert ours["melanoma_sensitivity"] is None
    assert ours["melanoma_specificity"] == 1.0
    assert ours["per_class"]["nv"]["specificity"] is None
    assert ours["per_class"]["mel"] == {
        "images": 0,
        "sensitivity": None,
        "specificity": 1.0,
        "precision": None,
        "fraction_misclassified": None,
        "auc": None,
        "average_precision": None,
        "auc_above_80_sensitivity": None,
    }
    assert ours["absent"] == [name for name in DIAGNOSES if name != "nv"]
    assert json.loads(json.dumps(ours, allow_nan=False)) == ours


def test_a_case_worked_by_hand() -> None:
    """Ten images of mel, nv and bkl; each figure is counted on paper.

    p_mel of the melanomas 0.8, 0.6, 0.4 and 0.1; of the others 0.7, 0.4, 0.3, 0.2, 0.1, 0.1. Pairs won: 6, then
    5, then 4.5 (a tie with 0.4), then 1 (ties with two 0.1) of 24. One false alarm in six is a specificity of
    0.833, and finds 0.8 and 0.6: the melanoma at 0.4 ties with the second false alarm.
    """
    melanomas, others = [0.8, 0.6, 0.4, 0.1], [0.7, 0.4, 0.3, 0.2, 0.1, 0.1]
    labels = np.array([4] * 4 + [5] * 5 + [2])
    probabilities = np.zeros((10, 7))
    probabilities[:, 4] = melanomas + others
    probabilities[:, 5] = 1 - probabilities[:, 4]
    ours = measure(labels, probabilities)
    assert ours["absent"] == ["akiec", "bcc", "df", "vasc"]
    # Predicted mel: 0.8, 0.6 and 0.7. Right: two melanomas and four naevi (0.4, 0.3, 0.2 and 0.1).
    assert ours["accuracy"] == pytest.approx(6 / 10)
    assert ours["balanced_accuracy"] == pytest.approx((2 / 4 + 4 / 5 + 0) / 3)
    assert ours["melanoma_specificity"] == pytest.approx(5 / 6)
    assert ours["per_class"]["mel"]["auc"] == pytest.approx(16.5 / 24)
    # Precision where sensitivity grows: 1/1, 2/3, 3/5 and, with all of 0.1 at once, 4/10.
    assert ours["per_class"]["mel"]["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 5 + 4 / 10) / 4)
    assert ours["melanoma_sensitivity_at_80_specificity"] == pytest.approx(2 / 4)
    assert ours["melanoma_sensitivity_at_90_specificity"] == pytest.approx(1 / 4)
    # The curve rises from (4/6, 3/4) to (1, 1): it is at 0.80 a fifth of the way.
    assert ours["per_class"]["mel"]["auc_above_80_sensitivity"] == pytest.approx(2 / 6 * 0.8 * (0.8 + 1) / 2)
    # Squared errors are 2 (1 - p)^2 of two classes, and of bkl, whose p_mel is 0.1: 1 + 0.1^2 + 0.9^2.
    squares = [2 * (1 - p) ** 2 for p in melanomas] + [2 * p**2 for p in others[:5]] + [1 + 0.1**2 + 0.9**2]
    assert ours["brier"] == pytest.approx(sum(squares) / 10)
    # Bins of 1/15. 0.6 is the end of the ninth bin, 0.8 of the twelfth; 0.9 lies in the fourteenth.
    bins = {"0.6": [True, False, True], "0.7": [False, True], "0.8": [True, True], "0.9": [False, True, False]}
    gaps = [abs(len(right) * float(confidence) - sum(right)) for confidence, right in bins.items()]
    assert ours["ece"] == pytest.approx(sum(gaps) / 10)


def test_a_tie_for_the_highest_probability_is_wrong() -> None:
    """Whichever of the two classes comes first; it counts as the other class."""
    tied = np.array([[0, 0, 0, 0, 0.5, 0.5, 0]])
    for truth, other in ((4, 5), (5, 4)):
        ours = measure(np.array([truth]), tied)
        assert ours["accuracy"] == 0
        assert ours["confusion_matrix"][truth][other] == 1
    assert measure(np.array([0]), tied)["confusion_matrix"][0][4] == 1


labels_and_scores = st.integers(1, 40).flatmap(
    lambda count: st.tuples(
        hnp.arrays(np.int64, count, elements=st.integers(0, 6)),
        hnp.arrays(np.float64, (count, 7), elements=st.floats(0.01, 1.0)),
    )
)


@given(labels_and_scores, st.randoms(use_true_random=False))
def test_invariants(drawn: tuple[np.ndarray, np.ndarray], random: object) -> None:
    labels, raw = drawn
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    ours = measure(labels, probabilities)
    assert sum(map(sum, ours["confusion_matrix"])) == ours["images"] == len(labels)
    assert ours["accuracy"] == pytest.approx(
        sum(ours["confusion_matrix"][number][number] for number in range(7)) / len(labels)
    )
    for name in ("accuracy", "balanced_accuracy", "macro_auc", "malignant_auc", "melanoma_sensitivity"):
        assert ours[name] is None or 0 <= ours[name] <= 1
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = measure(labels[order], probabilities[order])
    assert shuffled["confusion_matrix"] == ours["confusion_matrix"]
    assert shuffled["macro_auc"] == pytest.approx(ours["macro_auc"])
    json.dumps(ours, allow_nan=False)


@given(hnp.arrays(np.bool_, 12), hnp.arrays(np.int64, 12, elements=st.integers(0, 4)))
def test_area_under_curve_counts_pairs(positive: np.ndarray, score: np.ndarray) -> None:
    auc = area_under_curve(positive, score.astype(np.float64))
    pairs = [(p > n) + (p == n) / 2 for p in score[positive] for n in score[~positive]]
    assert auc is None if not pairs else auc == pytest.approx(np.mean(pairs))


def test_confusion_matrix_has_the_truth_in_its_rows() -> None:
    confusion = confusion_matrix(np.array([4, 4]), np.array([5, 5]))
    assert confusion[4, 5] == 2
    assert confusion.sum() == 2


def test_wilson_interval_of_a_worked_example() -> None:
    # Newcombe, Stat. Med. 17:857 (1998), table I: 81 of 263 and 0 of 20.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 1000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilson_interval_holds_the_proportion(drawn: tuple[int, int]) -> None:
    successes, trials = drawn
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


GOOD = np.full((2, 7), 1 / 7)


@pytest.mark.parametrize(
    ("labels", "probabilities", "words"),
    [
        (np.zeros(0, np.int64), np.zeros((0, 7)), r"labels have shape \(0,\)"),
        (np.zeros((2, 1), np.int64), GOOD, r"labels have shape \(2, 1\)"),
        (np.zeros(3, np.int64), GOOD, r"shape \(2, 7\), not \(3, 7\)"),
        (np.zeros(2, np.int64), GOOD[:, :6], r"shape \(2, 6\), not \(2, 7\)"),
        (np.zeros(2), GOOD, "labels are float64"),
        (np.array([0, 7]), GOOD, "label 7 in row 1 is none of 0 to 6"),
        (np.array([-1, 0]), GOOD, "label -1 in row 0 is none of 0 to 6"),
        (np.zeros(2, np.int64), GOOD * 0.5, "in row 0 sum to 0.5, not to 1"),
        (np.zeros(2, np.int64), np.eye(7)[:2] * 2 - 1, "p_bcc is -1 in row 0, not within 0 to 1"),
        (
            np.zeros(2, np.int64),
            GOOD + np.array([[0], [math.nan]]),
            "p_akiec is nan in row 1, not within 0 to 1",
        ),
    ],
)
def test_what_cannot_be_measured_is_named(labels: np.ndarray, probabilities: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        measure(labels, probabilities)


def test_float32_softmax_passes() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32) * 20
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    measure(np.zeros(50, np.int64), raised / raised.sum(axis=1, keepdims=True))
