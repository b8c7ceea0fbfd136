"""Compare two models on the images that both predicted: paired differences, McNemar's test, what changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.errors import RequestError
from skinml.evaluation.bootstrap import (
    RESAMPLES,
    classes_of_lesions,
    number_lesions,
    percentile_interval,
    resample,
)
from skinml.evaluation.metrics import checked
from skinml.evaluation.weighted import Figures, Predictions, figures, gather
from skinml.labels import encode
from skinml.schemas import PROBABILITY_COLUMNS

HEADLINE = (
    "accuracy",
    "balanced_accuracy",
    "macro_auc",
    "macro_average_precision",
    "melanoma_sensitivity",
    "melanoma_specificity",
    "melanoma_sensitivity_at_80_specificity",
    "malignant_auc",
    "malignant_sensitivity_at_90_specificity",
    "ece",
    "brier",
)
"""The figures that two models are compared by. Lower is better for ece and brier."""


def compare(
    first: pd.DataFrame, second: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Compare two models on the test images that both predicted and neither was trained on.

    Args:
        first: predictions of one model (`schemas.PREDICTIONS`); only rows of split test count.
        second: of the other.
        seed: of the resampling.
        resamples: how many.

    Returns:
        Plain data, without NaN:

        - images, lesions: how many both models are compared on.
        - left_out: {trained_on: images of lesions that either model was trained on; only_first, only_second:
          images that the other model has not predicted}.
        - metrics: for each of HEADLINE {first, second, difference, interval}. The difference is second less
          first. The interval is the 95 % percentile interval from resampled lesions, on the same draws for both,
          so that what both find hard cancels out. All null if the figure is undefined.
        - mcnemar: {unit, only_first_right, only_second_right, p_value} of lesions.
        - changed: {worse, better}: lesions of which the second model has fewer (more) images right, each
          {lesion_id, dx, image_ids, first, second}, where the last two are the predicted diagnoses.

    Raises:
        RequestError: the models have different classes, they have no lesion in common that neither was
            trained on, or they have different labels for one image.

    """
    raise NotImplementedError
