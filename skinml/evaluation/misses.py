"""Choose the worst misses of an evaluation: the most confident wrong predictions, the dangerous ones first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES, MALIGNANT

SHOWN = 12

_MALIGNANT = [DIAGNOSES.index(name) for name in MALIGNANT]


def is_dangerous(labels: NDArray[np.integer], predicted: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which malignant lesions were taken for benign ones, bool (n,); both arguments (n,), 0 to 6."""
    found: NDArray[np.bool_] = np.isin(labels, _MALIGNANT) & ~np.isin(predicted, _MALIGNANT)
    return found


def worst_misses(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], most: int = SHOWN
) -> NDArray[np.int64]:
    """Return positions of the worst misses: malignant taken for benign first, then the others.

    Within each, the most confident wrong prediction comes first; ties in the order of the images.

    >>> import numpy as np
    >>> labels = np.array([5, 4, 4])  # nv, mel, mel
    >>> probabilities = np.eye(7)[[4, 5, 4]]  # taken for mel, nv, mel
    >>> worst_misses(labels, probabilities).tolist()
    [1, 0]

    Args:
        labels: true class numbers, shape (n,), 0 to 6.
        probabilities: shape (n, 7).
        most: how many at most.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    dangerous = is_dangerous(labels[wrong], predicted[wrong])
    order = np.lexsort((-probabilities[wrong].max(axis=1), ~dangerous))
    return wrong[order][:most].astype(np.int64)
