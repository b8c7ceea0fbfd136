"""Intervals of means over classes: how many lesions are behind one, and what classes add that do not vary."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from skinml.evaluation.metrics import wilson_interval
from skinml.evaluation.weighted import MEANS, Figures, Name
from skinml.labels import DIAGNOSES


def behind_means(resampled: Figures, behind: Mapping[Name, int]) -> dict[Name, int]:
    """How many lesions each mean over classes depends on.

    The effective degrees of freedom of a sum of variances (Welch, Biometrika 34:28, 1947), and one: a mean over
    seven classes varies mostly with the classes that have few lesions. If no class varies in any resample: the
    number of trials whose proportion would vary as much as the mean of proportions that are all alike, which is
    the square of the number of classes, divided by the sum of 1 / lesions.
    """
    found: dict[Name, int] = {}
    for mean, figure in MEANS.items():
        names: list[Name] = [("per_class", diagnosis, figure) for diagnosis in DIAGNOSES]
        defined = [name for name in names if name in resampled and not np.isnan(resampled[name]).all()]
        variances = np.array([np.nanvar(resampled[name]) for name in defined])
        freedom = np.array([max(1, behind[name] - 1) for name in defined])
        if variances.sum() > 0:
            found[mean,] = 1 + int(variances.sum() ** 2 / (variances**2 / freedom).sum())
        elif defined:
            found[mean,] = max(1, int(len(defined) ** 2 / sum(1 / max(1, behind[name]) for name in defined)))
    return found


def widened(
    mean: str, value: float, interval: list[float] | None, resampled: Figures, behind: Mapping[Name, int]
) -> list[float] | None:
    """The interval of a mean over classes, with what the classes add that are 0 or 1 in every resample.

    Such a class does not vary, so resampling takes it as known for certain: a model with the only lesion of a
    class right is not known to be always right. Its distance to the end of Wilson's interval is added as the
    root of the sum of squares (MOVER: Zou & Donner, Stat. Med. 27:1693, 2008).
    """
    if interval is None or value in (0.0, 1.0):  # then no class varies, and it is Wilson's already
        return interval
    figure = MEANS[mean]
    names: list[Name] = [("per_class", diagnosis, figure) for diagnosis in DIAGNOSES]
    defined = [name for name in names if name in resampled and not np.isnan(resampled[name]).all()]
    below = above = 0.0
    for name in defined:
        low, high = np.nanmin(resampled[name]), np.nanmax(resampled[name])
        if low == high in (0.0, 1.0):
            ends = wilson_interval(int(low) * behind[name], behind[name])
            below += (low - ends[0]) ** 2
            above += (ends[1] - low) ** 2
    if not below + above:
        return interval
    count = len(defined)
    low = value - np.hypot(max(0.0, value - interval[0]), below**0.5 / count)
    high = value + np.hypot(max(0.0, interval[1] - value), above**0.5 / count)
    return [float(max(0.0, min(interval[0], low))), float(min(1.0, max(interval[1], high)))]
