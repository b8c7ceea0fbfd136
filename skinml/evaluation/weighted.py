"""Every scalar figure of a set of predictions, under many weightings of its lesions at once.

One weighting of ones gives the metrics themselves, 2,000 resamplings of the lesions give their intervals, so a
metric and its interval come from the same lines. `metrics.measure` says what each figure means.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from skinml.evaluation import ranking
from skinml.evaluation.ranking import Ranking, Values, Weights
from skinml.labels import DIAGNOSES, MALIGNANT, MELANOMA, malignant_probability

Name = tuple[str, ...]
"""Where a figure stands among the metrics: ("accuracy",) or ("per_class", "mel", "auc")."""

Figures = dict[Name, Values]
"""Shape (weightings,) each; NaN where a figure is undefined."""

BINS = 15
"""Of the calibration error: equal widths, as in Guo et al. (2017)."""

_CLASSES = len(DIAGNOSES)
_MALIGNANT = [DIAGNOSES.index(name) for name in MALIGNANT]
_BENIGN = [number for number in range(_CLASSES) if number not in _MALIGNANT]
_OF_CLASS = {
    "auc": ranking.area,
    "average_precision": ranking.average_precision,
    "auc_above_80_sensitivity": ranking.area_above_sensitivity,
}
MEANS = {
    "balanced_accuracy": "sensitivity",
    "macro_specificity": "specificity",
    **{f"macro_{name}": name for name in _OF_CLASS},
}
"""The means over classes, and of which figure of each class they are."""
_AT_SPECIFICITY = {
    f"sensitivity_at_{percent}_specificity": partial(
        ranking.sensitivity_at_specificity, specificity=percent / 100
    )
    for percent in (80, 90)
}
# Name of a figure, whose ranking, and what of it.
_RANKED: dict[Name, tuple[str, ranking.Figure]] = {
    **{
        ("per_class", diagnosis, name): (diagnosis, figure)
        for diagnosis in DIAGNOSES
        for name, figure in _OF_CLASS.items()
    },
    ("malignant_auc",): ("malignant", ranking.area),
    **{(f"melanoma_{name}",): (DIAGNOSES[MELANOMA], figure) for name, figure in _AT_SPECIFICITY.items()},
    **{(f"malignant_{name}",): ("malignant", figure) for name, figure in _AT_SPECIFICITY.items()},
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of n images of k lesions, with everything that no weighting changes.

    Attributes:
        labels: true class numbers, shape (n,), int64, 0 to 6.
        probabilities: shape (n, 7), float64.
        predicted: class numbers, shape (n,), as `predicted_classes` decides.
        lesions: the number of each image's lesion, shape (n,), int64, 0 to k - 1.
        sums: of each lesion, shape (k, 49 + BINS + 1): its images in each cell of the confusion matrix; in each
            bin of confidence, confidence less images right; and its squared errors.
        rankings: the images by the probability of each diagnosis, and of "malignant".

    """

    labels: NDArray[np.int64]
    probabilities: Values
    predicted: NDArray[np.int64]
    lesions: NDArray[np.int64]
    sums: Values
    rankings: dict[str, Ranking]


def gather(labels: NDArray[np.int64], probabilities: Values, lesions: NDArray[np.int64]) -> Predictions:
    """Sort and count predictions, which are checked already (`metrics.checked`)."""
    predicted = predicted_classes(labels, probabilities)
    count = int(lesions.max()) + 1
    cells = _per_lesion(lesions, count, labels * _CLASSES + predicted, _CLASSES**2)
    # Confidence belongs to the class that a scored image gets, so a tie takes nothing from it.
    confidence = probabilities.max(axis=1)
    surplus = confidence - (labels == predicted)
    bins = _per_lesion(lesions, count, confidence_bins(confidence), BINS, surplus)
    squares = ((probabilities - np.eye(_CLASSES)[labels]) ** 2).sum(axis=1)
    squared = _per_lesion(lesions, count, np.zeros_like(labels), 1, squares)
    rankings = {
        diagnosis: ranking.rank(labels == number, probabilities[:, number])
        for number, diagnosis in enumerate(DIAGNOSES)
    }
    rankings["malignant"] = ranking.rank(np.isin(labels, _MALIGNANT), malignant_probability(probabilities))
    sums = np.concatenate([cells, bins, squared], axis=1)
    return Predictions(labels, probabilities, predicted, lesions, sums, rankings)


def predicted_classes(labels: NDArray[np.int64], probabilities: Values) -> NDArray[np.int64]:
    """The class of the highest probability, shape (n,); a tie counts as wrong.

    If the true class shares the highest probability with another, the other counts as predicted: a network that
    cannot tell two diagnoses apart has not made the right one. isic-challenge-scoring decides alike.

    >>> import numpy as np
    >>> predicted_classes(np.array([4, 4]), np.array([[0, 0, 0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 0.6, 0.4, 0]]))
    array([5, 4])
    """
    highest = probabilities == probabilities.max(axis=1, keepdims=True)
    tied = np.flatnonzero(highest.sum(axis=1) > 1)
    highest[tied, labels[tied]] = False
    predicted: NDArray[np.int64] = highest.argmax(axis=1)
    return predicted


def confidence_bins(confidence: Values) -> NDArray[np.int64]:
    """The bin of each confidence, 0 to BINS - 1: (0, 1/15], (1/15, 2/15] ... (14/15, 1]."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def figures(predictions: Predictions, weights: Weights, ranked: Collection[str] | None = None) -> Figures:
    """All scalar figures, or fewer.

    Args:
        predictions: of n images of k lesions.
        weights: how often each lesion is drawn, shape (k, weightings), whole numbers. Memory is 30 times n
            times weightings bytes, so many weightings come in pieces.
        ranked: the rankings whose figures are wanted, such as "malignant"; None for all. They take nine tenths
            of the time. Without those of all classes there is no macro mean of them.

    """
    found = _decided(predictions.sums.T @ weights.astype(np.float64))
    of_images = weights[predictions.lesions]
    wanted = predictions.rankings.keys() if ranked is None else ranked
    curves = {name: ranking.curve(predictions.rankings[name], of_images) for name in wanted}
    found |= {name: figure(curves[which]) for name, (which, figure) in _RANKED.items() if which in curves}
    if curves.keys() >= set(DIAGNOSES):
        for figure in _OF_CLASS:
            found[f"macro_{figure}",] = _mean(found, figure)
    return found


def lesions_behind(predictions: Predictions) -> dict[Name, int]:
    """How many lesions each figure of some of the classes depends on: those of its rarer side.

    A mean over classes has no such number and is not among them.
    """
    confusion = predictions.sums[:, : _CLASSES**2].reshape(-1, _CLASSES, _CLASSES)
    of_class, called = confusion.sum(axis=2) > 0, confusion.sum(axis=1) > 0
    total = len(confusion)
    found: dict[Name, int] = {("accuracy",): total}
    for number, diagnosis in enumerate(DIAGNOSES):
        with_class, others = int(of_class[:, number].sum()), np.delete(of_class, number, axis=1)
        without = int(others.any(axis=1).sum())
        found["per_class", diagnosis, "sensitivity"] = with_class
        found["per_class", diagnosis, "fraction_misclassified"] = with_class
        found["per_class", diagnosis, "specificity"] = without
        found["per_class", diagnosis, "precision"] = int(called[:, number].sum())
        for figure in _OF_CLASS:
            found["per_class", diagnosis, figure] = min(with_class, without)
    melanoma, malignant = DIAGNOSES[MELANOMA], int(of_class[:, _MALIGNANT].any(axis=1).sum())
    benign = int(of_class[:, _BENIGN].any(axis=1).sum())
    found["melanoma_sensitivity",] = found["per_class", melanoma, "sensitivity"]
    found["melanoma_specificity",] = found["per_class", melanoma, "specificity"]
    found["malignant_sensitivity",] = malignant
    found["malignant_specificity",] = benign
    found["malignant_auc",] = min(malignant, benign)
    for figure in _AT_SPECIFICITY:
        found[f"melanoma_{figure}",] = found["melanoma_sensitivity",]
        found[f"malignant_{figure}",] = malignant
    return found


def _decided(sums: Values) -> Figures:
    """The figures that need no ranking, from the weighted sums of all lesions, shape (49 + BINS + 1, ...)."""
    confusion = sums[: _CLASSES**2].reshape(_CLASSES, _CLASSES, -1)
    surplus, squares = sums[_CLASSES**2 : -1], sums[-1]
    images = confusion.sum(axis=(0, 1))
    found: Figures = {("accuracy",): _share(np.einsum("iir->r", confusion), images)}
    for number, diagnosis in enumerate(DIAGNOSES):
        of_class, called = confusion[number].sum(axis=0), confusion[:, number].sum(axis=0)
        hit = confusion[number, number]
        rejected = images - of_class - called + hit
        found["per_class", diagnosis, "sensitivity"] = _share(hit, of_class)
        found["per_class", diagnosis, "specificity"] = _share(rejected, images - of_class)
        found["per_class", diagnosis, "precision"] = _share(hit, called)
        found["per_class", diagnosis, "fraction_misclassified"] = _share(of_class - hit, of_class)
    found["balanced_accuracy",] = _mean(found, "sensitivity")
    found["macro_specificity",] = _mean(found, "specificity")
    for name in ("sensitivity", "specificity"):
        found[f"melanoma_{name}",] = found["per_class", DIAGNOSES[MELANOMA], name]
    for name, classes in (("malignant_sensitivity", _MALIGNANT), ("malignant_specificity", _BENIGN)):
        of_them = confusion[classes].sum(axis=(0, 1))
        found[name,] = _share(confusion[np.ix_(classes, classes)].sum(axis=(0, 1)), of_them)
    found["ece",] = _share(np.abs(surplus).sum(axis=0), images)
    found["brier",] = _share(squares, images)
    return found


def _per_lesion(
    lesions: NDArray[np.int64],
    count: int,
    kinds: NDArray[np.int64],
    number: int,
    values: Values | None = None,
) -> Values:
    """Of each lesion and kind of image the sum of `values` (1 if there are none), shape (count, number)."""
    sums = np.bincount(lesions * number + kinds, weights=values, minlength=count * number)
    return sums.astype(np.float64).reshape(count, number)


def _mean(found: Figures, name: str) -> Values:
    """Mean over the classes for which a figure is defined; NaN if it is for none."""
    each = np.stack([found["per_class", diagnosis, name] for diagnosis in DIAGNOSES])
    defined = ~np.isnan(each)
    return _share(np.where(defined, each, 0).sum(axis=0), defined.sum(axis=0))


def _share(part: Values, whole: NDArray[np.number]) -> Values:
    """Part of a whole; NaN if the whole is 0."""
    share: Values = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return share
