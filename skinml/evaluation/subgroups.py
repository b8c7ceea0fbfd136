"""Judge a model per sex, age band, body site and source of the images; unknown is a group of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skinml.evaluation.bootstrap import RESAMPLES
from skinml.evaluation.intervals import chosen_with_intervals

AGE_BANDS = ((0, "0-29"), (30, "30-49"), (50, "50-69"), (70, "70 and over"))
"""The first year of each band, and its name."""

UNKNOWN = "unknown"

NOT_ASSESSED = {"skin_tone": "not assessed"}
"""Neither HAM10000 nor ISIC says it, and no image is asked: an estimate from pixels would be a guess."""

FIGURES = (
    "accuracy",
    "balanced_accuracy",
    "melanoma_sensitivity",
    "melanoma_specificity",
    "malignant_sensitivity",
    "malignant_specificity",
    "malignant_auc",
)
"""The figures of each group."""


def subgroups(test: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Any]:
    """The figures of each group, with intervals from resampled lesions.

    Args:
        test: predictions of the test images (`schemas.PREDICTIONS`).
        seed: of the resampling.
        resamples: how many.

    Returns:
        {"sex": {"female": {images, lesions, absent, metrics, intervals}, ...}, "age": ..., "localization": ...,
        "source": ..., "skin_tone": "not assessed"}. Groups are in order of their names, bands in order of age,
        unknown last. `absent` has the diagnoses that no image of the group has: no mean counts them.

    """
    found: dict[str, Any] = {}
    for column, groups in groups_of(test).items():
        names = sorted(groups.unique(), key=lambda name: (name == UNKNOWN, name))
        found[column] = {
            name: chosen_with_intervals(test[groups == name], FIGURES, seed=seed, resamples=resamples)
            for name in names
        }
    return {**found, **NOT_ASSESSED}


def groups_of(test: pd.DataFrame) -> dict[str, pd.Series[str]]:
    """For each way of grouping the group of each image, indexed like `test`.

    >>> import pandas as pd
    >>> row = {"sex": None, "age": [29.0, 70.0], "localization": "back", "source": "vidir_modern"}
    >>> {name: list(groups) for name, groups in groups_of(pd.DataFrame(row)).items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'sex': ['unknown', 'unknown'], 'age': ['0-29', '70 and over'], 'localization': ['back', 'back'],
     'source': ['vidir_modern', 'vidir_modern']}
    """
    starts = [start for start, _ in AGE_BANDS]
    names = [name for _, name in AGE_BANDS]
    ages = test["age"].to_numpy(np.float64)
    bands = [
        UNKNOWN if np.isnan(age) else names[place]
        for age, place in zip(ages, np.searchsorted(starts, ages, side="right") - 1, strict=True)
    ]
    return {
        "sex": _named(test["sex"]),
        "age": pd.Series(bands, index=test.index, dtype=object),
        "localization": _named(test["localization"]),
        "source": _named(test["source"]),
    }


def _named(values: pd.Series[str]) -> pd.Series[str]:
    found: pd.Series[str] = values.astype(object).where(values.notna(), UNKNOWN)
    return found
