"""Compare two models on the images that both predicted: paired differences, McNemar's test, what changed.

McNemar's exact test is our own three lines: SciPy's binomial test gives the same, but a base install that lists
and compares models has no SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.errors import RequestError
from skinml.evaluation.bootstrap import (
    RESAMPLES,
    number_lesions,
    percentile_interval,
    resample,
)
from skinml.evaluation.metrics import checked
from skinml.evaluation.ranking import Values
from skinml.evaluation.weighted import Predictions, figures, gather
from skinml.labels import DIAGNOSES, encode
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
          first. The interval is the 95 % percentile interval from resampled lesions, on the same draws for
          both, so that what both find hard cancels out. All null if the figure is undefined.
        - mcnemar: {unit, only_first_right, only_second_right, p_value}: McNemar's exact test (Psychometrika
          12:153, 1947). Its pairs must be independent, so they are lesions, not images: a lesion counts as
          right if more than half of its images are.
        - changed: {worse, better}: lesions of which the second model has fewer (more) images right, each
          {lesion_id, dx, images: [{image_id, first, second}]} with the images whose verdict changed and the
          diagnosis that each model predicts.

    Raises:
        RequestError: the models have different classes, they have no lesion in common that neither was
            trained on, or they have different labels for one image.

    """
    both, left_out = _common(first, second)
    labels, lesions = encode(both["dx"]), number_lesions(both["lesion_id"].tolist())
    models = [_gather(both, f"{side}_", labels, lesions) for side in ("first", "second")]
    ones = np.ones((int(lesions.max()) + 1, 1), np.float32)
    points = [figures(model, ones) for model in models]
    resampled = resample(models, seed=seed, resamples=resamples)
    metrics = {
        name: _paired(
            float(points[0][name,][0]), float(points[1][name,][0]), resampled[1][name,] - resampled[0][name,]
        )
        for name in HEADLINE
    }
    right = [model.predicted == labels for model in models]
    return {
        "images": len(both),
        "lesions": len(ones),
        "left_out": left_out,
        "metrics": metrics,
        "mcnemar": mcnemar(*(lesion_right(one, lesions) for one in right)),
        "changed": changed_lesions(both, models, right[1].astype(np.int64) - right[0]),
    }


def _common(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The images that count, with first_p_* and second_p_*; and how many images do not count, by reason."""
    sides = {}
    for side, frame in (("first", first), ("second", second)):
        classes = [name for name in frame.columns if name.startswith("p_") and name != "p_malignant"]
        if classes != list(PROBABILITY_COLUMNS):
            theirs = ", ".join(name.removeprefix("p_") for name in classes)
            raise RequestError(
                f"the {side} model has the classes {theirs}, not {', '.join(DIAGNOSES)};"
                " compare models of the same classes"
            )
        test = frame[frame["split"] == "test"]
        trained_on = test["image_trained_on"].astype(bool) | test["lesion_trained_on"].astype(bool)
        sides[side] = test.assign(trained_on=trained_on)[
            ["image_id", "lesion_id", "dx", "trained_on", *PROBABILITY_COLUMNS]
        ]
    both = sides["first"].merge(
        sides["second"].rename(columns={name: f"second_{name}" for name in PROBABILITY_COLUMNS}),
        on="image_id",
        how="outer",
        suffixes=("", "_second"),
        validate="one_to_one",
        indicator="where",
    )
    both = both.rename(columns={name: f"first_{name}" for name in PROBABILITY_COLUMNS})
    paired = both[both["where"] == "both"]
    torn = paired[paired["dx"] != paired["dx_second"]]
    if len(torn):
        row = torn.iloc[0]
        raise RequestError(
            f"{row['image_id']} is {row['dx']} for the first model and {row['dx_second']} for the second, and "
            f"{len(torn)} labels differ in all: evaluate both models on the same labels"
        )
    trained_on = paired["trained_on"].astype(bool) | paired["trained_on_second"].astype(bool)
    left_out = {
        "trained_on": int(trained_on.sum()),
        "only_first": int((both["where"] == "left_only").sum()),
        "only_second": int((both["where"] == "right_only").sum()),
    }
    common = paired[~trained_on].sort_values("image_id", ignore_index=True)
    if common.empty:
        raise RequestError(
            f"no test image that both models predicted and neither was trained on ({left_out['trained_on']} in "
            f"common were trained on, {left_out['only_first']} only the first predicted, "
            f"{left_out['only_second']} only the second): evaluate both on one set of images"
        )
    return common, left_out


def _gather(
    both: pd.DataFrame, prefix: str, labels: NDArray[np.int64], lesions: NDArray[np.int64]
) -> Predictions:
    probabilities = both[[f"{prefix}{name}" for name in PROBABILITY_COLUMNS]].to_numpy(np.float64)
    labels, probabilities = checked(labels, probabilities)
    return gather(labels, probabilities, lesions)


def _paired(first: float, second: float, differences: Values) -> dict[str, Any]:
    """One figure of both models, their difference and its interval."""
    if math.isnan(first) or math.isnan(second):
        return {"first": None, "second": None, "difference": None, "interval": None}
    interval = percentile_interval(differences)
    return {
        "first": first,
        "second": second,
        "difference": second - first,
        "interval": None if interval is None else list(interval),
    }


def lesion_right(right: NDArray[np.bool_], lesions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether more than half of a lesion's images are right, shape (k,)."""
    found: NDArray[np.bool_] = 2 * np.bincount(lesions, weights=right) > np.bincount(lesions)
    return found


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> dict[str, Any]:
    """McNemar's exact test of which lesions each model has right, shape (k,) both; `compare` explains it."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return {
        "unit": "lesion",
        "only_first_right": only_first,
        "only_second_right": only_second,
        "p_value": exact_binomial(min(only_first, only_second), only_first + only_second),
    }


def exact_binomial(fewer: int, trials: int) -> float:
    """The two-sided p-value of a fair coin that lands on its rarer side so seldom; 1 without trials.

    >>> exact_binomial(1, 10)
    0.021484375
    """
    tail = sum(math.comb(trials, successes) for successes in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**trials))


def changed_lesions(
    both: pd.DataFrame, models: Sequence[Predictions], gained: NDArray[np.integer]
) -> dict[str, list[dict[str, Any]]]:
    """The lesions of which one model has more images right than the other, as `compare` returns them.

    Args:
        both: image_id, lesion_id and dx of n images.
        models: the predictions of the first and of the second model.
        gained: 1 for an image that only the second has right, -1 if only the first has, else 0; shape (n,).

    """
    lesions: dict[str, list[int]] = {}
    names, ids, dx = (both[name].tolist() for name in ("lesion_id", "image_id", "dx"))
    for row in np.flatnonzero(gained).tolist():
        lesions.setdefault(str(names[row]), []).append(row)
    found: dict[str, list[dict[str, Any]]] = {"worse": [], "better": []}
    for lesion, rows in sorted(lesions.items()):
        net = sum(int(gained[row]) for row in rows)
        if net:
            said = [[DIAGNOSES[model.predicted[row]] for model in models] for row in rows]
            changed = [
                {"image_id": ids[row], "first": first, "second": second}
                for row, (first, second) in zip(rows, said, strict=True)
            ]
            one = {"lesion_id": lesion, "dx": str(dx[rows[0]]), "images": changed}
            found["better" if net > 0 else "worse"].append(one)
    return found
