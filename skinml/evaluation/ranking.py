"""Figures of a ranking (AUC, average precision ...) under many weightings of the same images at once.

scikit-learn computes the same figures under one weighting. A bootstrap needs 2,000 of them: 2,000 calls for
eight rankings of 1,500 images take 56 s, this takes 0.5 s, because the images are sorted once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Weights = NDArray[np.float32]
"""Shape (images, weightings). Whole numbers: how often each image is drawn. Sums are exact below 2**24."""

SENSITIVITY_FLOOR = 0.80
"""ISIC 2018, task 3, has the area under the ROC curve above this sensitivity."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Images in order of a score, highest first. Images of equal score form one group: no threshold parts them.

    Attributes:
        order: image numbers, shape (n,), by descending score.
        positives: the places in `order` that hold a positive image, shape (p,).
        starts: for each group with a positive image, the place of its first image, shape (g,).
        ends: the place after its last image.
        last_positive: for each group, how many positives it and all groups before it have.

    """

    order: NDArray[np.int64]
    positives: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    last_positive: NDArray[np.int64]


def rank(positive: NDArray[np.bool_], score: NDArray[np.floating]) -> Ranking:
    """Sort images by a score.

    Args:
        positive: shape (n,).
        score: shape (n,), finite; higher is more positive.

    """
    order: NDArray[np.int64] = np.argsort(-score, kind="stable")
    sorted_score = score[order]
    ends = np.append(np.flatnonzero(sorted_score[1:] != sorted_score[:-1]) + 1, len(order))
    starts = np.concatenate([[0], ends[:-1]])
    positives = np.flatnonzero(positive[order])
    until = np.searchsorted(positives, ends)
    has_positive = np.diff(until, prepend=0) > 0
    return Ranking(order, positives, starts[has_positive], ends[has_positive], until[has_positive])


@dataclass(frozen=True, eq=False)
class Curve:
    """The corners of ROC curves, one column a weighting. Weights, not rates.

    Attributes:
        found: weight of the positives down to the end of each group, shape (groups, weightings).
        found_before: down to its start.
        alarms: weight of the negatives down to the end of each group.
        alarms_before: down to its start.
        positives: weight of all positives, shape (weightings,).
        negatives: of all negatives.

    """

    found: Values
    found_before: Values
    alarms: Values
    alarms_before: Values
    positives: Values
    negatives: Values


Figure = Callable[[Curve], Values]
"""A figure of each of the curves, shape (weightings,); NaN where it is undefined."""


def curve(ranking: Ranking, weights: Weights) -> Curve:
    """The ROC curves of a ranking. Between groups that have a positive image a curve is flat."""
    columns = weights.shape[1]
    in_order = weights[ranking.order]
    passed = np.zeros((len(in_order) + 1, columns), np.float32)
    np.cumsum(in_order, axis=0, out=passed[1:])
    of_positives = np.zeros((len(ranking.positives) + 1, columns), np.float32)
    np.cumsum(in_order[ranking.positives], axis=0, out=of_positives[1:])
    found = of_positives[ranking.last_positive].astype(np.float64)
    found_before = np.concatenate([np.zeros((min(1, len(found)), columns)), found[:-1]])
    positives = of_positives[-1].astype(np.float64)
    return Curve(
        found=found,
        found_before=found_before,
        alarms=passed[ranking.ends] - found,
        alarms_before=passed[ranking.starts] - found_before,
        positives=positives,
        negatives=passed[-1] - positives,
    )


def area(roc: Curve) -> Values:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties half.

    Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 143:29 (1982). Half a tie is
    the convention of the field (the trapezoid of scikit-learn and of isic-challenge-scoring), so it holds here
    too, although a tie counts as wrong wherever a decision is made.

    Returns:
        0 to 1, shape (weightings,); NaN without a positive or without a negative.

    """
    outranked = roc.negatives - (roc.alarms + roc.alarms_before) / 2
    return _share(((roc.found - roc.found_before) * outranked).sum(axis=0), roc.positives * roc.negatives)


def average_precision(roc: Curve) -> Values:
    """Mean precision over the positives: sum of precision x increase in sensitivity, without interpolation.

    Zhu, "Recall, Precision and Average Precision" (2004), as scikit-learn has it.

    Returns:
        0 to 1, shape (weightings,); NaN without a positive or without a negative.

    """
    precision = np.nan_to_num(_share(roc.found, roc.found + roc.alarms))
    gained = ((roc.found - roc.found_before) * precision).sum(axis=0)
    return np.where(roc.negatives > 0, _share(gained, roc.positives), np.nan)


def area_above_sensitivity(roc: Curve, floor: float = SENSITIVITY_FLOOR) -> Values:
    """Area under the part of the ROC curve whose sensitivity is at least `floor`, not normalised.

    ISIC 2018's "AUC above 80 % sensitivity" (isic-challenge-scoring, `auc_above_sensitivity`): the area from
    the false-alarm rate at which the curve, drawn straight between its points, reaches the floor, to 1.

    Returns:
        0 to 1, shape (weightings,); NaN without a positive or without a negative.

    """
    before, after = _share(roc.found_before, roc.positives), _share(roc.found, roc.positives)
    low, high = np.maximum(before, floor), np.maximum(after, floor)
    rise = after - before
    # Of a group's own slope, the part above the floor; a group whose positives have no weight is flat.
    part = np.where(rise > 0, _share(high - low, rise), before >= floor)
    slopes = (roc.alarms - roc.alarms_before) * part * (low + high) / 2
    flat_from = np.concatenate([np.zeros((min(1, len(after)), after.shape[1])), roc.alarms[:-1]])
    flats = (roc.alarms_before - flat_from) * np.where(before >= floor, before, 0)
    rest = roc.negatives - (roc.alarms[-1] if len(after) else 0)  # below the last positive all are found
    defined = roc.positives * roc.negatives > 0
    return np.where(defined, _share(slopes.sum(axis=0) + flats.sum(axis=0) + rest, roc.negatives), np.nan)


def sensitivity_at_specificity(roc: Curve, specificity: float) -> Values:
    """The highest sensitivity of any threshold whose specificity is at least this.

    A threshold calls an image positive if its score is at least the threshold. So images of equal score are
    called alike, and a positive that shares its score with one negative too many is not found: a tie counts as
    wrong. Nothing is interpolated between thresholds.

    Args:
        roc: the curves.
        specificity: 0 to 1.

    Returns:
        0 to 1, shape (weightings,); NaN without a positive or without a negative.

    """
    allowed = roc.alarms <= (1 - specificity) * roc.negatives + 1e-9  # 0.2 x 10 is 1.9999999999999996
    found = np.where(allowed, roc.found, 0).max(axis=0, initial=0)
    return np.where(roc.negatives > 0, _share(found, roc.positives), np.nan)


def _share(part: Values, whole: Values) -> Values:
    """Part of a whole; NaN if the whole is 0."""
    share: Values = np.divide(
        part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0
    )
    return share
