"""Judge a model on its test images: everything that metrics.json says of it, as plain data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skinml.errors import RequestError
from skinml.evaluation.agreement import retest_agreement
from skinml.evaluation.bootstrap import RESAMPLES
from skinml.evaluation.conformal import conformal
from skinml.evaluation.intervals import measure_with_intervals
from skinml.evaluation.selective import risk_coverage
from skinml.evaluation.subgroups import subgroups
from skinml.labels import encode
from skinml.schemas import PROBABILITY_COLUMNS

FEW_LESIONS = 20
"""With fewer lesions of a class, its AUCs have too narrow intervals: benchmarks/coverage has the figures."""


def judge(
    test: pd.DataFrame, validation: pd.DataFrame, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Everything that can be said of a model by its predictions.

    An image counts as often as `draws` says: the thesis draws some several times. Its lesion is resampled as
    one. Test-retest agreement and conformal sets count each image once.

    Args:
        test: predictions of the test images (`schemas.PREDICTIONS`), at least one.
        validation: predictions that conformal sets are calibrated on; none if the protocol has no validation
            images beside its test images.
        seed: of all resampling.
        resamples: how many.

    Returns:
        Plain data without NaN: metrics and intervals (`intervals.measure_with_intervals`), lesions, subgroups
        (`subgroups.subgroups`), risk_coverage (`selective.risk_coverage`), conformal (`conformal.conformal`;
        None without validation images), agreement (`agreement.retest_agreement`; None without a lesion that has
        several images), notes (sentences about what limits these figures).

    Raises:
        RequestError: there is no test image.
        ValueError: probabilities are none; the message names the first wrong row.

    """
    if test.empty:
        raise RequestError("no test image: there is nothing to judge the model by; prepare more lesions")
    counted = test.iloc[np.repeat(np.arange(len(test)), test["draws"])].reset_index(drop=True)
    metrics, intervals = measure_with_intervals(
        encode(counted["dx"]),
        counted["lesion_id"].tolist(),
        counted[list(PROBABILITY_COLUMNS)].to_numpy(np.float64),
        seed=seed,
        resamples=resamples,
    )
    return {
        "metrics": metrics,
        "intervals": intervals,
        "lesions": int(test["lesion_id"].nunique()),
        "subgroups": subgroups(counted, seed=seed, resamples=resamples),
        "risk_coverage": risk_coverage(counted, seed=seed, resamples=resamples),
        "conformal": None if validation.empty else conformal(validation, test, seed=seed),
        "agreement": retest_agreement(test, seed=seed, resamples=resamples),
        "notes": _notes(test, validation, metrics["absent"]),
    }


def judge_predictions(predictions: pa.Table, seed: int) -> dict[str, Any]:
    """`judge` by a table of `schemas.PREDICTIONS`, as a bundle keeps it."""
    rows = predictions.to_pandas()
    test, validation = (rows[rows["split"] == split].reset_index(drop=True) for split in ("test", "val"))
    return judge(test, validation, seed)


def contradictions(rows: pd.DataFrame) -> list[str]:
    """Lesions whose images have different diagnoses, each as one line; in order of lesion.

    >>> import pandas as pd
    >>> rows = pd.DataFrame({"image_id": ["I1", "I2"], "lesion_id": "L1", "dx": ["mel", "nv"]})
    >>> contradictions(rows)
    ['lesion L1 is mel in I1 and nv in I2']
    """
    several = rows.groupby("lesion_id")["dx"].transform("nunique") > 1
    found = []
    for lesion, images in rows[several].groupby("lesion_id", sort=True):
        first = images.sort_values("image_id").drop_duplicates("dx")
        said = " and ".join(f"{dx} in {name}" for dx, name in zip(first["dx"], first["image_id"], strict=True))
        found.append(f"lesion {lesion} is {said}")
    return found


def refuse_contradictions(rows: pd.DataFrame) -> None:
    """Refuse labels that contradict each other within a lesion.

    Raises:
        RequestError: they do; the message names the first such lesion.

    """
    found = contradictions(rows)
    if found:
        raise RequestError(
            f"{found[0]} ({len(found)} such lesions): a lesion has one diagnosis; correct the metadata"
        )


def _notes(test: pd.DataFrame, validation: pd.DataFrame, absent: list[str]) -> list[str]:
    """What limits the figures, in sentences."""
    notes = ["Skin tone: not assessed."]
    if absent:
        notes.append(f"No test image is {', '.join(absent)}: no mean counts these diagnoses.")
    lesions = test.drop_duplicates("lesion_id")["dx"].value_counts()
    few = [f"{name} ({count})" for name, count in sorted(lesions.items()) if count < FEW_LESIONS]
    if few:
        notes.append(
            f"Fewer than {FEW_LESIONS} test lesions of {', '.join(few)}: the intervals of these diagnoses' AUCs"
            " are too narrow."
        )
    torn = contradictions(test)
    if torn:
        notes.append(f"{len(torn)} lesions have images of several diagnoses; the first: {torn[0]}.")
    trained_on = int(test["lesion_trained_on"].sum())
    if trained_on:
        notes.append(
            f"{trained_on} of {len(test)} test images show a lesion that the model was trained on: these"
            " figures do not say how it does on new lesions."
        )
    if validation.empty:
        notes.append("No conformal sets: the protocol has no validation images beside its test images.")
    return notes
