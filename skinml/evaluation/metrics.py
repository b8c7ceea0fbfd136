"""Compute metrics from true labels and class probabilities.

scikit-learn, of the extra `train`, does the arithmetic. It is imported only when a function is called, because
that takes 0.9 CPU s and 81 MB. Our own code checks the input and names the first wrong row. Undefined metrics
(no melanoma, no benign image) are None, because JSON has no NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES, MALIGNANT, MELANOMA, malignant_probability

# Softmax in float32 over seven classes sums to 1 within 1e-6; four digits still catch logits and percents.
SUM_TOLERANCE = 1e-4

_CLASSES = np.arange(len(DIAGNOSES))


def measure(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> dict[str, Any]:
    """Return the metrics of n predictions; the predicted class is the one with the highest probability.

    >>> import numpy as np
    >>> labels = np.array([4, 4, 5, 5])  # mel, mel, nv, nv
    >>> probabilities = np.eye(7)[[4, 5, 5, 5]]  # one melanoma is taken for a naevus
    >>> metrics = measure(labels, probabilities)
    >>> metrics["accuracy"], metrics["melanoma_sensitivity"], metrics["melanoma_specificity"]
    (0.75, 0.5, 1.0)
    >>> metrics["per_class"]["df"]["sensitivity"] is None  # no image is a df
    True

    Args:
        labels: true class numbers, shape (n,), 0 to 6, n at least 1.
        probabilities: class probabilities, shape (n, 7), each 0 to 1, each row summing to 1.

    Returns:
        - images: n.
        - accuracy: fraction predicted right.
        - balanced_accuracy: mean sensitivity over the classes present in `labels`.
        - macro_auc: area under the ROC curve, one class against the rest, mean over the classes that are
          present but not alone; None when there is none.
        - melanoma_sensitivity, melanoma_specificity: of the prediction mel against any other.
        - malignant_auc: area under the ROC curve of p_akiec + p_bcc + p_mel, malignant against benign.
        - per_class: for each diagnosis images, sensitivity, specificity, precision, fraction_misclassified.
        - confusion_matrix: 7 x 7 counts, rows the truth, columns the prediction.

    Raises:
        ValueError: the shapes do not match, a label is not one of the seven, or a row is not a probability
            distribution; the message names the first wrong row.

    """
    from sklearn.metrics import accuracy_score, multilabel_confusion_matrix, recall_score

    labels, probabilities = _checked(labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    one_against_rest = multilabel_confusion_matrix(labels, predicted, labels=_CLASSES)
    counts = one_against_rest.astype(np.int64).tolist()  # they are floats where a class is absent
    per_class = dict(zip(DIAGNOSES, map(_class_metrics, counts), strict=True))
    aucs = [area_under_curve(labels == number, probabilities[:, number]) for number in _CLASSES]
    defined = [auc for auc in aucs if auc is not None]
    malignant = np.isin(labels, [DIAGNOSES.index(name) for name in MALIGNANT])
    melanoma = per_class[DIAGNOSES[MELANOMA]]
    return {
        "images": len(labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        # Not balanced_accuracy_score: it is the same, and warns of predicted classes that no image has.
        "balanced_accuracy": float(recall_score(labels, predicted, labels=np.unique(labels), average="macro")),
        "macro_auc": float(np.mean(defined)) if defined else None,
        "melanoma_sensitivity": melanoma["sensitivity"],
        "melanoma_specificity": melanoma["specificity"],
        "malignant_auc": area_under_curve(malignant, malignant_probability(probabilities)),
        "per_class": per_class,
        "confusion_matrix": confusion_matrix(labels, predicted).tolist(),
    }


def confusion_matrix(labels: NDArray[np.integer], predicted: NDArray[np.integer]) -> NDArray[np.int64]:
    """Counts, shape (7, 7): row the true class, column the predicted one. Both inputs (n,), 0 to 6, n > 0.

    >>> import numpy as np
    >>> confusion_matrix(np.array([4, 4, 5]), np.array([4, 5, 5]))[4:6, 4:6].tolist()
    [[1, 1], [0, 1]]
    """
    from sklearn import metrics

    counts: NDArray[np.int64] = metrics.confusion_matrix(labels, predicted, labels=_CLASSES)
    return counts


def area_under_curve(positive: NDArray[np.bool_], score: NDArray[np.floating]) -> float | None:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties half.

    Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 143:29 (1982).

    >>> import numpy as np
    >>> area_under_curve(np.array([True, True, False]), np.array([0.9, 0.4, 0.4]))
    0.75

    Args:
        positive: shape (n,).
        score: shape (n,), finite, higher is more positive.

    Returns:
        0 to 1; None without a positive or without a negative.

    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, score)) if 0 < positive.sum() < len(positive) else None


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson, J. Am. Stat. Assoc. 22:209, 1927), within 0 to 1.

    It stays sensible for few trials and for proportions of 0 and 1, where the normal interval does not.
    Without trials nothing is known: (0, 1).

    >>> low, high = wilson_interval(5, 20)
    >>> f"{low:.3f} to {high:.3f}"
    '0.112 to 0.469'
    """
    from scipy.stats import binomtest  # of the extra `train`, too: scikit-learn needs it

    if trials == 0:
        return 0.0, 1.0
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _class_metrics(counts: list[list[int]]) -> dict[str, Any]:
    """One class against the rest, from its true and false negatives and positives: [[tn, fp], [fn, tp]]."""
    (others_right, false_alarms), (missed, right) = counts
    return {
        "images": missed + right,
        "sensitivity": _fraction(right, missed + right),
        "specificity": _fraction(others_right, others_right + false_alarms),
        "precision": _fraction(right, right + false_alarms),
        "fraction_misclassified": _fraction(missed, missed + right),
    }


def _fraction(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _checked(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Both arrays in 64 bits, or a ValueError that names what is wrong with them."""
    classes = len(DIAGNOSES)
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(f"labels have shape {labels.shape}, not (n,) with n at least 1")
    if probabilities.shape != (len(labels), classes):
        raise ValueError(
            f"probabilities have shape {probabilities.shape}, not ({len(labels)}, {classes}) to fit the labels"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels are {labels.dtype}, not whole numbers")
    unknown = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(unknown):
        raise ValueError(f"label {labels[unknown[0]]} in row {unknown[0]} is none of 0 to {classes - 1}")
    values = probabilities.astype(np.float64)
    outside = np.argwhere(~((values >= 0) & (values <= 1 + SUM_TOLERANCE)))  # ~ so that NaN is outside too
    if len(outside):
        row, column = outside[0]
        raise ValueError(f"p_{DIAGNOSES[column]} is {values[row, column]:g} in row {row}, not within 0 to 1")
    sums = values.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
    if len(off):
        raise ValueError(f"the probabilities in row {off[0]} sum to {sums[off[0]]:g}, not to 1")
    return labels.astype(np.int64), values
