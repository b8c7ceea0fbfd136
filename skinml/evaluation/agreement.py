"""Test-retest agreement: does a model say the same of several photographs of one lesion?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.evaluation.bootstrap import RESAMPLES, draw, number_lesions, percentile_interval
from skinml.labels import DIAGNOSES, MALIGNANT, malignant_probability
from skinml.schemas import PROBABILITY_COLUMNS

FIGURES = (
    "same_diagnosis",
    "same_malignancy",
    "kappa",
    "mean_absolute_difference",
    "icc",
    "limits_of_agreement",
)

Sums = NDArray[np.float64]

AT_ONCE = 250
"""Resamples that are held at once."""


def retest_agreement(rows: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Any] | None:
    """How far predictions agree on lesions that were photographed more than once.

    Every lesion counts once, whatever its number of images. No label is needed.

    Args:
        rows: predictions (`schemas.PREDICTIONS`), each image once.
        seed: of the resampling.
        resamples: how many.

    Returns:
        None without such a lesion. Else lesions, images, metrics and intervals (95 %, from resampled lesions):

        - same_diagnosis: share of pairs of images of a lesion with the same predicted diagnosis.
        - same_malignancy: share of pairs that are both predicted malignant or both benign.
        - kappa: Fleiss' kappa of the predicted diagnoses (Psychol. Bull. 76:378, 1971), for unequal numbers of
          images: 0 is agreement by chance, 1 perfect.
        - mean_absolute_difference: of p_malignant between two images of a lesion, 0 to 1.
        - icc: intraclass correlation of p_malignant, one-way random, single image: ICC(1,1) of Shrout & Fleiss
          (Psychol. Bull. 86:420, 1979), for unequal numbers of images.
        - limits_of_agreement: 95 % of differences of p_malignant between two images of a lesion lie within
          plus or minus this: 1.96 x sqrt(2) x the standard deviation within lesions (Bland & Altman, Stat.
          Methods Med. Res. 8:135, 1999, section 3). Photographs have no order, so their mean difference is 0.

    """
    rows = rows[rows["lesion_id"].duplicated(keep=False)]
    if rows.empty:
        return None
    lesions = number_lesions(rows["lesion_id"].tolist())
    sums = _sums(lesions, rows[list(PROBABILITY_COLUMNS)].to_numpy(np.float64))
    found = _figures(sums, np.ones((len(sums), 1)))
    pieces = [
        _figures(sums, weights.astype(np.float64))
        for weights in draw(len(sums), AT_ONCE, seed=seed, resamples=resamples)
    ]
    intervals = {
        name: percentile_interval(np.concatenate([piece[name] for piece in pieces])) for name in FIGURES
    }
    metrics = {name: None if np.isnan(found[name][0]) else float(found[name][0]) for name in FIGURES}
    return {
        "lesions": len(sums),
        "images": len(rows),
        "metrics": metrics,
        "intervals": {
            name: None if interval is None or metrics[name] is None else list(interval)
            for name, interval in intervals.items()
        },
    }


def _sums(lesions: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Sums:
    """What a lesion adds to each figure, shape (k, 15).

    Columns: 1; agreement in diagnosis and in malignancy; mean absolute difference; images; their square; sum,
    square of the sum by images, and sum of squares of p_malignant; share of its images predicted as each class.
    """
    predicted = probabilities.argmax(axis=1)
    malignant = np.isin(predicted, [DIAGNOSES.index(name) for name in MALIGNANT])
    chance = malignant_probability(probabilities)
    images = np.bincount(lesions)
    pairs = images * (images - 1) / 2
    classes = np.zeros((len(images), len(DIAGNOSES)))
    np.add.at(classes, (lesions, predicted), 1)
    verdicts = np.stack([np.bincount(lesions, weights=malignant), np.bincount(lesions, weights=~malignant)], 1)
    # Sum of |a - b| over pairs, from sorted values: the j-th of n (from 0) counts 2j - (n - 1) times.
    order = np.lexsort((chance, lesions))
    place = np.arange(len(order)) - np.repeat(np.cumsum(images) - images, images)
    signed = (2 * place + 1 - images[lesions[order]]) * chance[order]
    differences = np.bincount(lesions[order], weights=signed)
    total = np.bincount(lesions, weights=chance)
    squares = np.bincount(lesions, weights=chance**2)
    columns = [
        np.ones(len(images)),
        (classes * (classes - 1)).sum(axis=1) / 2 / pairs,
        (verdicts * (verdicts - 1)).sum(axis=1) / 2 / pairs,
        differences / pairs,
        images,
        images**2,
        total,
        total**2 / images,
        squares,
    ]
    return np.concatenate([np.stack(columns, axis=1), classes / images[:, None]], axis=1)


def _figures(sums: Sums, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """FIGURES under weightings of the lesions, shape (k, weightings)."""
    lesions, same, verdict, difference, images, images_2, total, between, squares, *classes = sums.T @ weights
    observed = same / lesions
    expected = sum((share / lesions) ** 2 for share in classes)
    inside = np.maximum(squares - between, 0) / (images - lesions)
    mean_images = (images - images_2 / images) / np.maximum(lesions - 1, 1)
    across = np.maximum(between - total**2 / images, 0) / np.maximum(lesions - 1, 1)
    varies = across + (mean_images - 1) * inside
    icc = _share(across - inside, np.where(lesions > 1, varies, 0))
    return {
        "same_diagnosis": observed,
        "same_malignancy": verdict / lesions,
        "kappa": _share(observed - expected, 1 - expected),
        "mean_absolute_difference": difference / lesions,
        "icc": icc,
        "limits_of_agreement": 1.96 * np.sqrt(2 * inside),
    }


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 1e-12)
    return found
