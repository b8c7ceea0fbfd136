"""Made-up champions and challengers for the tests of the gate."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skinml.gate import Rules
from skinml.labels import encode
from skinml.schemas import PROBABILITY_COLUMNS
from tests.unit.evaluation.made_up import predictions

P = list(PROBABILITY_COLUMNS)

QUICK = Rules(resamples=500)


def worse_in(rows: pd.DataFrame, chosen: pd.Series[bool], seed: int = 0) -> pd.DataFrame:
    """The same rows, with a class that is wrong predicted for the chosen images."""
    spoiled = rows.copy()
    labels = encode(rows.loc[chosen, "dx"])
    others = (labels + np.random.default_rng(seed).integers(1, 7, len(labels))) % 7
    spoiled.loc[chosen, P] = np.eye(7)[others] * 0.86 + 0.02
    return spoiled


def mended(rows: pd.DataFrame, chosen: pd.Series[bool]) -> pd.DataFrame:
    """The same rows, with the chosen images predicted right."""
    right = rows.copy()
    right.loc[chosen, P] = np.eye(7)[encode(rows.loc[chosen, "dx"])] * 0.86 + 0.02
    return right


def confident(signal: float, too: float = 1.0) -> pd.DataFrame:
    """Predictions of 500 lesions whose confidence is about right, or too high: the same images always."""
    rows = predictions(lesions=500, signal=signal)
    sharpened = rows[P].to_numpy() ** (
        too * signal / (1 + 0.7**2)
    )  # the best slope for logits of that variance
    rows[P] = sharpened / sharpened.sum(axis=1, keepdims=True)
    return rows


CHAMPION, BETTER = confident(1.0, too=3.0), confident(3.0)
