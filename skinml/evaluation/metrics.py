"""How good predictions are: from true labels and class probabilities to a dictionary of metrics.

Pure NumPy, numbers ready for JSON: whatever is undefined (no melanoma, no benign image) is None, never NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES, MALIGNANT, MELANOMA, malignant_probability

# Softmax in float32 over seven classes sums to 1 within 1e-6; four digits still catch logits and percents.
SUM_TOLERANCE = 1e-4


def measure(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> dict[str, Any]:
    """The metrics of n predictions; the predicted class is the one with the highest probability.

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
        ValueError: the arrays do not fit together, a label is none of the seven, or a row is no
            probability distribution; the message names the first offender.

    """
    labels, probabilities = _checked(labels, probabilities)
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1))
    per_class = {name: _class_metrics(confusion, number) for number, name in enumerate(DIAGNOSES)}
    sensitivities = [row["sensitivity"] for row in per_class.values() if row["sensitivity"] is not None]
    aucs = [
        auc
        for number in range(len(DIAGNOSES))
        if (auc := area_under_curve(labels == number, probabilities[:, number])) is not None
    ]
    malignant = np.isin(labels, [DIAGNOSES.index(name) for name in MALIGNANT])
    melanoma = per_class[DIAGNOSES[MELANOMA]]
    return {
        "images": len(labels),
        "accuracy": float(np.trace(confusion) / len(labels)),
        "balanced_accuracy": math.fsum(sensitivities) / len(sensitivities),
        "macro_auc": math.fsum(aucs) / len(aucs) if aucs else None,
        "melanoma_sensitivity": melanoma["sensitivity"],
        "melanoma_specificity": melanoma["specificity"],
        "malignant_auc": area_under_curve(malignant, malignant_probability(probabilities)),
        "per_class": per_class,
        "confusion_matrix": confusion.tolist(),
    }


def confusion_matrix(labels: NDArray[np.integer], predicted: NDArray[np.integer]) -> NDArray[np.int64]:
    """Counts, shape (7, 7): row the true class, column the predicted one. Both inputs (n,), 0 to 6."""
    size = len(DIAGNOSES)
    return np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size).astype(np.int64)


def area_under_curve(positive: NDArray[np.bool_], score: NDArray[np.floating]) -> float | None:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties half.

    The Mann-Whitney U statistic over its maximum (Hanley & McNeil, Radiology 143:29, 1982).

    Args:
        positive: shape (n,).
        score: shape (n,), higher is more positive.

    Returns:
        0 to 1; None without a positive or without a negative.

    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if positives == 0 or negatives == 0:
        return None
    _, group, size = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(size) - (size - 1) / 2  # tied scores share the mean of their ranks
    rank_sum = float(mean_rank[group][positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson, J. Am. Stat. Assoc. 22:209, 1927), within 0 to 1.

    It stays sensible for few trials and for proportions of 0 and 1, where the normal interval does not.
    Without trials nothing is known: (0, 1).
    """
    if trials == 0:
        return 0.0, 1.0
    z = 1.959963984540054  # 97.5 % quantile of the standard normal
    proportion = successes / trials
    denominator = 1 + z**2 / trials
    centre = (proportion + z**2 / (2 * trials)) / denominator
    half = z * math.sqrt(proportion * (1 - proportion) / trials + z**2 / (4 * trials**2)) / denominator
    # Rounding must not put the proportion itself outside: 5 of 5 would end 1e-16 below 1.
    return min(max(0.0, centre - half), proportion), max(min(1.0, centre + half), proportion)


def _class_metrics(confusion: NDArray[np.int64], number: int) -> dict[str, Any]:
    """One class against the rest, from the confusion matrix."""
    images = int(confusion[number].sum())
    predicted = int(confusion[:, number].sum())
    right = int(confusion[number, number])
    others = int(confusion.sum()) - images
    return {
        "images": images,
        "sensitivity": right / images if images else None,
        "specificity": 1 - (predicted - right) / others if others else None,
        "precision": right / predicted if predicted else None,
        "fraction_misclassified": 1 - right / images if images else None,
    }


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
