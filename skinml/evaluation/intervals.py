"""Confidence intervals of test metrics, by resampling lesions instead of images.

The resampling of `paired_lesion_bootstrap` is our own. `scipy.stats.bootstrap`, called for each
class, draws lesions one at a time: 28 CPU ms for 1,100 lesions and 620 for 30,000, where this takes 9 and 39.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.evaluation.bootstrap import (
    LEVEL,
    RESAMPLES,
    nest,
    number_lesions,
    percentile_interval,
    resample,
)
from skinml.evaluation.means import behind_means, widened
from skinml.evaluation.metrics import checked, measure, wilson_interval
from skinml.evaluation.ranking import Values
from skinml.evaluation.weighted import MEANS, Name, figures, gather, lesions_behind
from skinml.labels import DIAGNOSES, encode
from skinml.schemas import PROBABILITY_COLUMNS


def measure_with_intervals(
    labels: NDArray[np.integer],
    lesions: Sequence[str] | NDArray[np.integer],
    probabilities: NDArray[np.floating],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metrics of `metrics.measure`, and the 95 % interval of each that is one number.

    >>> import numpy as np
    >>> labels = np.repeat([4, 5], 30)  # mel, nv
    >>> probabilities = np.eye(7)[np.where(np.arange(60) % 6 == 0, 5, labels)]  # five melanomas are missed
    >>> metrics, intervals = measure_with_intervals(labels, np.arange(60) // 2, probabilities)
    >>> round(metrics["melanoma_sensitivity"], 2), [round(end, 2) for end in intervals["melanoma_sensitivity"]]
    (0.83, [0.68, 0.96])

    Args:
        labels: true class numbers, shape (n,), 0 to 6, n at least 1.
        lesions: name or number of the lesion that each image shows, shape (n,).
        probabilities: class probabilities, shape (n, 7), each 0 to 1, each row summing to 1.
        seed: the same seed gives the same intervals.
        resamples: how many.

    Returns:
        The metrics, and the intervals nested like them: {"accuracy": [low, high], ..., "per_class": {"mel":
        {"sensitivity": [low, high], ...}}}. An interval is None if its figure is undefined. They are
        percentile intervals; figures that depend on few lesions are given the level that their number asks for
        (`expanded_level`). If a figure is 0 or 1 in every resample, which says nothing of what the test set
        has not shown, it is Wilson's for as many trials as there are such lesions. A mean over classes with
        such a figure has a wider interval too (`means.widened`).

    Raises:
        ValueError: see `metrics.measure`; or there are not as many lesions as labels.

    """
    labels, probabilities = checked(labels, probabilities)
    if len(lesions) != len(labels):
        raise ValueError(f"{len(lesions)} lesions for {len(labels)} labels; give one for each image")
    numbers = number_lesions(lesions)
    predictions = gather(labels, probabilities, numbers)
    [resampled] = resample([predictions], seed=seed, resamples=resamples)
    metrics, behind = measure(labels, probabilities), lesions_behind(predictions)
    behind |= behind_means(resampled, behind)
    intervals = {
        name: None if _within(metrics, name) is None else interval_of(values, behind.get(name))
        for name, values in resampled.items()
    }
    for mean in MEANS:
        if metrics[mean] is not None:
            intervals[mean,] = widened(mean, metrics[mean], intervals[mean,], resampled, behind)
    return metrics, nest(intervals)


def _within(metrics: dict[str, Any], name: Name) -> Any:
    found: Any = metrics
    for part in name:
        found = found[part]
    return found


def interval_of(values: Values, lesions: int | None) -> list[float] | None:
    """The percentile interval, as wide as so many lesions ask for; None if all of them count."""
    if lesions is None:
        interval = percentile_interval(values)
    else:
        interval = percentile_interval(values, expanded_level(lesions))
        if interval is not None and lesions and interval[0] == interval[1] in (0.0, 1.0):
            interval = wilson_interval(int(interval[0]) * lesions, lesions)
    return None if interval is None else list(interval)


def expanded_level(lesions: int, level: float = LEVEL) -> float:
    """The level of a percentile interval that covers `level` for so few lesions.

    Percentiles of n values are too close by the factor sqrt((n - 1) / n), and take the normal distribution for
    Student's (Hesterberg, "What Teachers Should Know About the Bootstrap", Am. Stat. 69:371, 2015).

    >>> round(expanded_level(11), 3), round(expanded_level(1000), 3)
    (0.981, 0.95)
    """
    from scipy.stats import norm, t  # of the extra `train`, as in `wilson_interval`

    count = max(2, lesions)
    tail = norm.cdf(t.ppf((1 - level) / 2, count - 1) * (count / (count - 1)) ** 0.5)
    return float(1 - 2 * tail)


def chosen_with_intervals(
    rows: pd.DataFrame, chosen: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Some figures of some images, with their intervals; quicker than all of them.

    Args:
        rows: predictions (`schemas.PREDICTIONS`), at least one.
        chosen: names of figures that are no macro mean of a ranking.
        seed: of the resampling.
        resamples: how many; without any, there are no intervals.

    Returns:
        images, lesions, absent (diagnoses that no image has), metrics, and intervals; None what is undefined.

    """
    labels, probabilities = checked(encode(rows["dx"]), rows[list(PROBABILITY_COLUMNS)].to_numpy(np.float64))
    lesions = number_lesions(rows["lesion_id"].tolist())
    predictions = gather(labels, probabilities, lesions)
    count = len(predictions.sums)
    ranked = [which for which in predictions.rankings if any(name.startswith(f"{which}_") for name in chosen)]
    found = figures(predictions, np.ones((count, 1), np.float32), ranked)
    defined = {name: not np.isnan(found[name,][0]) for name in chosen}
    judged = {
        "images": len(labels),
        "lesions": count,
        "absent": [name for number, name in enumerate(DIAGNOSES) if number not in labels],
        "metrics": {name: float(found[name,][0]) if defined[name] else None for name in chosen},
    }
    if resamples:
        [resampled] = resample([predictions], seed=seed, resamples=resamples, ranked=ranked)
        behind = lesions_behind(predictions)
        behind |= behind_means(resampled, behind)
        intervals = {
            name: interval_of(resampled[name,], behind.get((name,))) if defined[name] else None
            for name in chosen
        }
        for name in (one for one in chosen if one in MEANS and defined[one]):
            intervals[name] = widened(name, float(found[name,][0]), intervals[name], resampled, behind)
        judged["intervals"] = intervals
    return judged


@dataclass(frozen=True)
class PairedDifference:
    """The difference in balanced accuracy between two networks on the same images.

    Attributes:
        difference: second less first, -1 to 1; below 0 the second is worse.
        low, high: the interval of the difference.
        images: test images, repeats counted.
        lesions: lesions of each class, shape (classes,); 0 for a class that no image has.

    """

    difference: float
    low: float
    high: float
    images: int
    lesions: tuple[int, ...]


def paired_lesion_bootstrap(
    labels: NDArray[np.integer],
    lesions: NDArray[np.integer],
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    *,
    classes: int,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> PairedDifference:
    """The difference of two balanced accuracies, with a percentile interval from resampled lesions.

    The percentile bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3) in a
    paired design: both networks are measured on each resample and the difference is taken within it, so that
    what both find hard cancels out. Lesions are resampled, not images, because images of one lesion are not
    independent of each other. They are drawn within their class, as many as the class has: balanced accuracy is
    a mean over classes, and a resample without a class would be the mean of other classes. A lesion whose
    images have several diagnoses counts as one lesion in each.

    All of a lesion that matters is how many images it has and how many more of them the second network has
    right. Lesions that agree in both are interchangeable, so one multinomial draw of how often each such kind
    comes up is the same as drawing lesions one by one, and costs the same for 300 lesions and for 300,000.

    It says nothing about what the test set has not shown: if no image differs, the interval is a point however
    few lesions there are. Look at `lesions` before you rely on it.

    >>> import numpy as np
    >>> labels = np.repeat([4, 5], 20)  # 20 images of mel, 20 of nv, two of each lesion
    >>> lesions = np.arange(40) // 2
    >>> worse = np.where(np.arange(40) < 4, 5, labels)  # two melanomas taken for naevi
    >>> found = paired_lesion_bootstrap(labels, lesions, labels, worse, classes=7, seed=1)
    >>> round(found.difference, 3), round(found.low, 3), round(found.high, 3)
    (-0.1, -0.25, 0.0)
    >>> found.lesions
    (0, 0, 0, 0, 10, 10, 0)

    Args:
        labels: true class numbers, shape (n,), 0 to `classes` - 1, n at least 1.
        lesions: which lesion each image shows, shape (n,), any whole numbers.
        first: class numbers that the first network predicts, shape (n,).
        second: those of the second network.
        classes: how many there are.
        seed: the same seed gives the same interval.
        resamples: how many.
        level: of the interval.

    Raises:
        ValueError: the arrays do not have one shape (n,), n is 0, or a label is not within its bounds.

    """
    shapes = {array.shape for array in (labels, lesions, first, second)}
    if len(shapes) != 1 or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"labels, lesions and predictions have shapes {sorted(shapes)}, not one (n,) with n > 0"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels are within {labels.min()} to {labels.max()}, not within 0 to {classes - 1}")
    gained = (second == labels).astype(np.int64) - (first == labels)
    generator = np.random.default_rng(seed)
    differences, resampled, counts = [], np.zeros(resamples), []
    for number in range(classes):
        of_class = labels == number
        images, gains = _of_lesions(lesions[of_class], gained[of_class])
        counts.append(len(images))
        if not len(images):
            continue
        differences.append(gains.sum() / images.sum())
        kinds, times = np.unique(np.stack([images, gains], axis=1), axis=0, return_counts=True)
        weights = generator.multinomial(len(images), times / len(images), size=resamples)
        resampled += (weights @ kinds[:, 1]) / (weights @ kinds[:, 0])
    present = len(differences)
    low, high = np.quantile(resampled / present, [(1 - level) / 2, (1 + level) / 2])
    return PairedDifference(
        float(sum(differences) / present), float(low), float(high), len(labels), tuple(counts)
    )


def _of_lesions(
    lesions: NDArray[np.integer], gained: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each lesion its images and the sum of `gained` over them, both int64 (lesions,)."""
    _, which, images = np.unique(lesions, return_inverse=True, return_counts=True)
    gains = np.zeros(len(images), dtype=np.int64)
    np.add.at(gains, which, gained)
    return images.astype(np.int64), gains
