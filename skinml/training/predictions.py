"""The predictions of a fit, image by image: what any two models can be compared by later."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from skinml.schemas import PREDICTIONS, PROBABILITY_COLUMNS
from skinml.training.protocols import Recipe
from skinml.training.resampling import Positions

GROUPS = ("age", "sex", "localization", "source")
"""What a model is judged by, group by group."""


def predictions(
    samples: pd.DataFrame, recipe: Recipe, test: NDArray[np.float64], validation: NDArray[np.float64]
) -> pa.Table:
    """One row per image of the validation and of the test set, with its probabilities.

    An image that the thesis draws several times has one row. Where both sets are one, as in the thesis, its
    rows are of the test set.

    Args:
        samples: image_id, lesion_id, dx, age, sex, localization, source and position of each sample.
        recipe: which positions train, validate and test.
        test: probabilities of the test positions, shape (len(recipe.test), 7).
        validation: of the validation positions, shape (len(recipe.validation), 7).

    Returns:
        A table of `schemas.PREDICTIONS`, validation first, in order of position.

    """
    by_position = samples.set_index("position")
    trained = by_position.loc[np.unique(recipe.train)]
    parts = [_part(by_position, "test", recipe.test, test)]
    if not np.array_equal(recipe.validation, recipe.test):
        parts.insert(0, _part(by_position, "val", recipe.validation, validation))
    rows = pd.concat(parts, ignore_index=True)
    rows["image_trained_on"] = rows["image_id"].isin(trained["image_id"])
    rows["lesion_trained_on"] = rows["lesion_id"].isin(trained["lesion_id"])
    return pa.Table.from_pandas(rows, PREDICTIONS, preserve_index=False)


def _part(
    by_position: pd.DataFrame, split: str, positions: Positions, probabilities: NDArray[np.float64]
) -> pd.DataFrame:
    """The rows of one set, each position once."""
    once, first, draws = np.unique(positions, return_index=True, return_counts=True)
    rows = by_position.loc[once, ["image_id", "lesion_id", "dx", *GROUPS]].reset_index(drop=True)
    rows[list(PROBABILITY_COLUMNS)] = probabilities[first]
    return rows.assign(split=split, draws=draws)
