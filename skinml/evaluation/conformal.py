"""Class-conditional conformal sets: for each image the diagnoses that cannot be excluded at 90 %."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.evaluation.metrics import wilson_interval
from skinml.labels import DIAGNOSES, encode
from skinml.schemas import PROBABILITY_COLUMNS

COVERAGE = 0.90


def conformal(
    validation: pd.DataFrame, test: pd.DataFrame, *, seed: int = 0, coverage: float = COVERAGE
) -> dict[str, Any]:
    """Calibrate prediction sets on validation lesions, and see on test lesions how often they hold the truth.

    Mondrian conformal prediction (Vovk, "Conditional validity of inductive conformal predictors", Machine
    Learning 92:349, 2013): a set holds each diagnosis whose probability is at least that diagnosis's threshold.
    Each diagnosis is calibrated on its own lesions, so that each, not only their mean, is covered. Images of
    one lesion are not exchangeable, so one image of each lesion is drawn (Dunn, Wasserman & Ramdas,
    "Distribution-free prediction sets for two-layer hierarchical models", J. Am. Stat. Assoc. 118:2491, 2023).

    Args:
        validation: predictions to calibrate on (`schemas.PREDICTIONS`).
        test: predictions to test on.
        seed: of the drawing of images.
        coverage: the share of lesions of each diagnosis whose set shall hold it.

    Returns:
        - level: `coverage`.
        - too_few: diagnoses with fewer calibration lesions than the level asks for (9 for 0.90). They are in
          every set, because nothing may exclude them.
        - per_class: for each diagnosis calibration_lesions, threshold (lowest probability that keeps it in a
          set; 0 if there are too few), and of the test lesions with it lesions, coverage, coverage_interval
          (95 %, Wilson) and mean_set_size; None without a lesion.
        - lesions, coverage, mean_set_size; empty_sets, single_sets (shares): of all test lesions.

    """
    generator = np.random.default_rng(seed)
    calibration, tested = one_each(validation, generator), one_each(test, generator)
    found = thresholds(_labels(calibration), _probabilities(calibration), coverage)
    labels, sets = _labels(tested), _probabilities(tested) >= found
    held, sizes = sets[np.arange(len(labels)), labels], sets.sum(axis=1)
    calibrated = np.bincount(_labels(calibration), minlength=len(DIAGNOSES)).tolist()
    per_class = {
        diagnosis: {
            "calibration_lesions": calibrated[number],
            "threshold": float(found[number]),
            **_of_class(held[labels == number], sizes[labels == number]),
        }
        for number, diagnosis in enumerate(DIAGNOSES)
    }
    needed = fewest(coverage)
    return {
        "level": coverage,
        "too_few": [name for name, count in zip(DIAGNOSES, calibrated, strict=True) if count < needed],
        "per_class": per_class,
        "lesions": len(labels),
        "coverage": float(held.mean()),
        "mean_set_size": float(sizes.mean()),
        "empty_sets": float((sizes == 0).mean()),
        "single_sets": float((sizes == 1).mean()),
    }


def thresholds(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], coverage: float
) -> NDArray[np.float64]:
    """For each class the probability from which on it is in a set, shape (7,); 0 if it has too few images.

    Of n probabilities that calibration images give their true class, that is the k-th highest with
    k = ceil((n + 1) x coverage): the finite-sample quantile, with which the coverage of a new exchangeable
    image is at least `coverage` for every n.

    Args:
        labels: class numbers of the calibration images, shape (n,).
        probabilities: shape (n, 7).
        coverage: 0 to 1.

    """
    found = np.zeros(len(DIAGNOSES))
    for number in range(len(DIAGNOSES)):
        of_truth = np.sort(probabilities[labels == number, number])[::-1]
        place = _rank(len(of_truth), coverage)
        if place <= len(of_truth):
            found[number] = of_truth[place - 1]
    return found


def fewest(coverage: float) -> int:
    """How many calibration images a class needs before anything can exclude it.

    >>> fewest(0.90)
    9
    """
    count = 1
    while _rank(count, coverage) > count:
        count += 1
    return count


def one_each(rows: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """One image of each lesion, drawn at random; in order of lesion."""
    shuffled = rows.sort_values("image_id").iloc[generator.permutation(len(rows))]
    return shuffled.drop_duplicates("lesion_id").sort_values("lesion_id", ignore_index=True)


def _rank(count: int, coverage: float) -> int:
    return math.ceil((count + 1) * coverage - 1e-9)


def _of_class(held: NDArray[np.bool_], sizes: NDArray[np.int64]) -> dict[str, Any]:
    if not len(held):
        return {"lesions": 0, "coverage": None, "coverage_interval": None, "mean_set_size": None}
    return {
        "lesions": len(held),
        "coverage": float(held.mean()),
        "coverage_interval": list(wilson_interval(int(held.sum()), len(held))),
        "mean_set_size": float(sizes.mean()),
    }


def _labels(rows: pd.DataFrame) -> NDArray[np.int64]:
    return encode(rows["dx"])


def _probabilities(rows: pd.DataFrame) -> NDArray[np.float64]:
    return rows[list(PROBABILITY_COLUMNS)].to_numpy(np.float64)
