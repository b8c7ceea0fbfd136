"""Compute metrics from true labels and class probabilities.

The arithmetic is our own (`evaluation.weighted`), because a bootstrap needs every figure 2,000 times; the tests
hold each figure to scikit-learn's and to isic-challenge-scoring's. Undefined metrics (no melanoma, no benign
image) are None, because JSON has no NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.evaluation import ranking
from skinml.evaluation.weighted import figures, gather
from skinml.labels import DIAGNOSES

# Softmax in float32 over seven classes sums to 1 within 1e-6; four digits still catch logits and percents.
SUM_TOLERANCE = 1e-4

SCALARS = (
    "accuracy",
    "balanced_accuracy",
    "macro_specificity",
    "macro_auc",
    "macro_average_precision",
    "macro_auc_above_80_sensitivity",
    "melanoma_sensitivity",
    "melanoma_specificity",
    "melanoma_sensitivity_at_80_specificity",
    "melanoma_sensitivity_at_90_specificity",
    "malignant_auc",
    "malignant_sensitivity",
    "malignant_specificity",
    "malignant_sensitivity_at_80_specificity",
    "malignant_sensitivity_at_90_specificity",
    "ece",
    "brier",
)
"""The figures that are one number."""

OF_CLASS = (
    "sensitivity",
    "specificity",
    "precision",
    "fraction_misclassified",
    "auc",
    "average_precision",
    "auc_above_80_sensitivity",
)
"""The figures of each class against the rest."""


HEADLINE = ("accuracy", "balanced_accuracy", "macro_auc", "melanoma_sensitivity")
"""The metrics that stand for a version in a list."""


def measure(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> dict[str, Any]:
    """Return the metrics of n predictions; the predicted class is the one with the highest probability.

    A tie for the highest probability counts as wrong (`weighted.predicted_classes`).

    >>> import numpy as np
    >>> labels = np.array([4, 4, 5, 5])  # mel, mel, nv, nv
    >>> probabilities = np.eye(7)[[4, 5, 5, 5]]  # one melanoma is taken for a naevus
    >>> metrics = measure(labels, probabilities)
    >>> metrics["accuracy"], metrics["melanoma_sensitivity"], metrics["melanoma_specificity"]
    (0.75, 0.5, 1.0)
    >>> metrics["per_class"]["df"]["sensitivity"] is None  # no image is a df
    True
    >>> metrics["absent"]
    ['akiec', 'bcc', 'bkl', 'df', 'vasc']

    Args:
        labels: true class numbers, shape (n,), 0 to 6, n at least 1.
        probabilities: class probabilities, shape (n, 7), each 0 to 1, each row summing to 1.

    Returns:
        - images: n.
        - absent: the diagnoses that no image has. No mean counts them.
        - accuracy: fraction predicted right.
        - balanced_accuracy: mean sensitivity over the classes present.
        - macro_specificity: mean specificity over the classes that are not alone.
        - macro_auc, macro_average_precision, macro_auc_above_80_sensitivity: means over the classes that are
          present but not alone; None if there is none.
        - melanoma_sensitivity, melanoma_specificity: of the prediction mel against any other.
        - melanoma_sensitivity_at_80_specificity, ..._90_...: the highest sensitivity of a threshold on p_mel
          whose specificity is at least 0.80 or 0.90 (`ranking.sensitivity_at_specificity`).
        - malignant_auc: area under the ROC curve of p_akiec + p_bcc + p_mel, malignant against benign.
        - malignant_sensitivity, malignant_specificity: of a prediction that is akiec, bcc or mel.
        - malignant_sensitivity_at_80_specificity, ..._90_...: likewise of a threshold on the sum of the three.
        - ece: expected calibration error, 0 to 1: the mean over images of the distance between confidence and
          fraction right in their bin of confidence, 15 bins of equal width (Guo et al., "On Calibration of
          Modern Neural Networks", ICML 2017). It is biased upwards, the more the fewer the images are.
        - brier: mean over images of the squared distance between the probabilities and the truth, summed over
          the seven classes, 0 to 2 (Brier, Mon. Weather Rev. 78:1, 1950).
        - per_class: for each diagnosis images, sensitivity, specificity, precision, fraction_misclassified of
          the prediction, and of the ranking by its probability auc, average_precision and
          auc_above_80_sensitivity (`evaluation.ranking`).
        - confusion_matrix: 7 x 7 counts, rows the truth, columns the prediction.

    Raises:
        ValueError: the shapes do not match, a label is not one of the seven, or a row is not a probability
            distribution; the message names the first wrong row.

    """
    labels, probabilities = checked(labels, probabilities)
    predictions = gather(labels, probabilities, np.zeros(len(labels), np.int64))
    found = figures(predictions, np.ones((1, 1), np.float32))
    images = np.bincount(predictions.labels, minlength=len(DIAGNOSES)).tolist()
    per_class = {
        diagnosis: {
            "images": count,
            **{name: _number(found["per_class", diagnosis, name][0]) for name in OF_CLASS},
        }
        for diagnosis, count in zip(DIAGNOSES, images, strict=True)
    }
    return {
        "images": len(predictions.labels),
        "absent": [diagnosis for diagnosis, count in zip(DIAGNOSES, images, strict=True) if not count],
        **{name: _number(found[name,][0]) for name in SCALARS},
        "per_class": per_class,
        "confusion_matrix": confusion_matrix(predictions.labels, predictions.predicted).tolist(),
    }


def confusion_matrix(labels: NDArray[np.integer], predicted: NDArray[np.integer]) -> NDArray[np.int64]:
    """Counts, shape (7, 7): row the true class, column the predicted one. Both inputs (n,), 0 to 6, n > 0.

    >>> import numpy as np
    >>> confusion_matrix(np.array([4, 4, 5]), np.array([4, 5, 5]))[4:6, 4:6].tolist()
    [[1, 1], [0, 1]]
    """
    classes = len(DIAGNOSES)
    counts = np.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.astype(np.int64).reshape(classes, classes)


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
    curve = ranking.curve(ranking.rank(positive, score), np.ones((len(score), 1), np.float32))
    return _number(ranking.area(curve)[0])


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


def _number(value: np.floating) -> float | None:
    return None if np.isnan(value) else float(value)


def checked(
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
