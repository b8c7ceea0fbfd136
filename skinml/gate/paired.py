"""Compare two models on the same test images: every figure's difference, on the same resamples for both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.errors import RequestError
from skinml.evaluation.bootstrap import AT_ONCE, draw_within, number_lesions
from skinml.evaluation.metrics import checked
from skinml.evaluation.ranking import Values, Weights
from skinml.evaluation.weighted import Figures, Predictions, figures, gather
from skinml.gate.groups import Group, worst_of
from skinml.labels import DIAGNOSES, MELANOMA, encode
from skinml.schemas import PROBABILITY_COLUMNS

NEEDED = ("image_id", "lesion_id", "dx")

RANKED = (DIAGNOSES[MELANOMA],)
"""The only ranking that a criterion looks at; each one costs more than everything else."""


@dataclass(frozen=True, eq=False)
class Pair:
    """The predictions of both models for n images of k lesions.

    Attributes:
        rows: the champion's frame: image_id, lesion_id, dx and the columns of the subgroups.
        models: champion, challenger.
        strata: the diagnosis of each lesion as a number, shape (k,); of its first image if they differ.

    """

    rows: pd.DataFrame
    models: tuple[Predictions, Predictions]
    strata: NDArray[np.int64]

    def lesions(self) -> NDArray[np.int64]:
        """How many lesions each diagnosis has, shape (7,)."""
        return np.bincount(self.strata, minlength=len(DIAGNOSES))


def pair(champion: pd.DataFrame, challenger: pd.DataFrame) -> Pair:
    """Check that both frames describe the same images, and gather their predictions.

    Raises:
        RequestError: there is no image, the frames differ in images, lesions or diagnoses, a diagnosis is
            unknown, or a row is no probability distribution.

    """
    if champion.empty and challenger.empty:
        raise RequestError(
            "the gate has no test lesions that neither model was trained on: prepare more labelled lesions"
        )
    for one in (champion, challenger):
        lacking = [name for name in (*NEEDED, *PROBABILITY_COLUMNS) if name not in one]
        if lacking:
            raise RequestError(f"the gate's test images have no column {lacking[0]}")
    for column in NEEDED:
        first, second = champion[column].tolist(), challenger[column].tolist()
        if first != second:
            row = next(
                (n for n, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), None
            )
            where = (
                f"{len(first)} and {len(second)} rows"
                if row is None
                else f"row {row}: {first[row]!r}, {second[row]!r}"
            )
            raise RequestError(
                f"champion and challenger do not have the same test images: {column} differs ({where});"
                " predict the same images with both"
            )
    twice = champion["image_id"][champion["image_id"].duplicated()]
    if len(twice):
        raise RequestError(f"test image {twice.iloc[0]} is there twice: give the gate each image once")
    try:
        labels = encode(champion["dx"])
        lesions = number_lesions(champion["lesion_id"].astype(str).tolist())
        sides = [
            checked(labels, one[list(PROBABILITY_COLUMNS)].to_numpy(np.float64))
            for one in (champion, challenger)
        ]
    except KeyError as error:
        raise RequestError(f"the gate's test images: {error} is no diagnosis") from None
    except ValueError as error:
        raise RequestError(f"the gate's test images: {error}") from error
    models = (gather(*sides[0], lesions), gather(*sides[1], lesions))
    return Pair(champion, models, labels[np.unique(lesions, return_index=True)[1]])


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure of both models.

    Attributes:
        champion, challenger: on the images; NaN if undefined.
        differences: challenger less champion in each resample, shape (resamples,).

    """

    champion: float
    challenger: float
    differences: Values

    @property
    def difference(self) -> float:
        """Challenger less champion on the images."""
        return self.challenger - self.champion


WORST_SUBGROUP = "worst_subgroup"


def compare_resampled(
    both: Pair, groups: Sequence[Group], *, seed: int, resamples: int
) -> dict[tuple[str, ...], Figure]:
    """The figures of `evaluation.weighted.figures` that need no other ranking, and the worst subgroup's.

    Each resample draws lesions within their diagnosis, as many as it has, and judges both models on them.

    Args:
        both: the predictions.
        groups: the subgroups that are judged, possibly none.
        seed: of the resampling.
        resamples: how many.

    """
    ones = np.ones((len(both.strata), 1), np.float32)
    points = _measure(both, groups, ones)
    at_once = max(1, AT_ONCE // len(both.rows))
    pieces = [
        _differences(*_measure(both, groups, weights))
        for weights in draw_within(both.strata, at_once, seed=seed, resamples=resamples)
    ]
    return {
        name: Figure(
            float(points[0][name][0]),
            float(points[1][name][0]),
            np.concatenate([piece[name] for piece in pieces]),
        )
        for name in pieces[0]
    }


def _measure(both: Pair, groups: Sequence[Group], weights: Weights) -> list[Figures]:
    found = []
    for side, model in enumerate(both.models):
        one = figures(model, weights, RANKED)
        if groups:
            one[WORST_SUBGROUP,] = worst_of(groups, side, weights)
        found.append(one)
    return found


def _differences(champion: Figures, challenger: Figures) -> Figures:
    return {name: challenger[name] - champion[name] for name in champion}
