"""The subgroups that the gate judges: sex, age, body site and source, if they have enough lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.evaluation.ranking import Values, Weights
from skinml.evaluation.subgroups import groups_of
from skinml.evaluation.weighted import Predictions
from skinml.gate.rules import Rules
from skinml.labels import DIAGNOSES

COLUMNS = ("sex", "age", "localization", "source")


@dataclass(frozen=True, eq=False)
class Group:
    """One subgroup: k of the test set's lesions show an image of it.

    Attributes:
        name: such as "sex female".
        lesions: how many.
        members: their numbers, shape (k,).
        images: of each lesion and counted diagnosis the group's images, shape (k, diagnoses).
        hits: for champion and challenger those that are predicted right.

    """

    name: str
    lesions: int
    members: NDArray[np.int64]
    images: Values
    hits: tuple[Values, Values]

    def balanced_accuracy(self, side: int, weights: Weights) -> Values:
        """The mean sensitivity over the counted diagnoses, shape (weightings,); NaN if a resample has none."""
        drawn = weights[self.members].astype(np.float64)
        images, hits = self.images.T @ drawn, self.hits[side].T @ drawn
        share = np.divide(hits, images, out=np.zeros_like(hits), where=images > 0)
        present = (images > 0).sum(axis=0)
        found: Values = np.divide(
            share.sum(axis=0), present, out=np.full(len(present), np.nan), where=present > 0
        )
        return found


def judged_groups(
    rows: pd.DataFrame, models: tuple[Predictions, Predictions], rules: Rules
) -> tuple[list[Group], list[str]]:
    """The subgroups with enough lesions, and the names and lesions of those with too few.

    A column that has one group alone (a source that nobody recorded) says nothing that the whole does not, and
    is left out.
    """
    missing = [name for name in COLUMNS if name not in rows]
    judged: list[Group] = []
    few: list[str] = []
    for column, groups in groups_of(rows.assign(**dict.fromkeys(missing))).items():
        names = sorted(groups.unique())
        for value in names if len(names) > 1 else []:
            name, inside = f"{column} {value}", (groups == value).to_numpy()
            lesions = len(np.unique(models[0].lesions[inside]))
            group = _group(name, inside, models, rules) if lesions >= rules.subgroup_lesions else None
            if group is None:
                few.append(f"{name} ({lesions})")
            else:
                judged.append(group)
    return judged, few


def _group(
    name: str, inside: NDArray[np.bool_], models: tuple[Predictions, Predictions], rules: Rules
) -> Group | None:
    """None if no diagnosis has enough lesions."""
    labels, lesions = models[0].labels[inside], models[0].lesions[inside]
    members, which = np.unique(lesions, return_inverse=True)
    images = _count(which, labels, len(members))
    counted = (images > 0).sum(axis=0) >= rules.subgroup_diagnosis
    if not counted.any():
        return None
    hits = []
    for model in models:
        right = model.predicted[inside] == labels
        hits.append(_count(which[right], labels[right], len(members))[:, counted])
    return Group(name, len(members), members, images[:, counted], (hits[0], hits[1]))


def _count(which: NDArray[np.int64], labels: NDArray[np.int64], lesions: int) -> Values:
    cells = np.bincount(which * len(DIAGNOSES) + labels, minlength=lesions * len(DIAGNOSES))
    return cells.reshape(lesions, len(DIAGNOSES)).astype(np.float64)


def worst_of(groups: Sequence[Group], side: int, weights: Weights) -> Values:
    """The lowest balanced accuracy of any of the groups under each weighting, shape (weightings,)."""
    each = np.stack([group.balanced_accuracy(side, weights) for group in groups])
    lowest = np.where(np.isnan(each), np.inf, each).min(axis=0)
    return np.where(np.isinf(lowest), np.nan, lowest)


def worst_group(groups: Sequence[Group], side: int, lesions: int) -> Group:
    """The group that a model is worst in."""
    ones = np.ones((lesions, 1), np.float32)
    return min(groups, key=lambda group: float(group.balanced_accuracy(side, ones)[0]))
