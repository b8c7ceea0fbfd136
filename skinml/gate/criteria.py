"""Turn each figure's resampled difference into a criterion: its interval, held against its margin.

A criterion is `models.floors.Criterion`, which decisions keep as evidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from skinml.evaluation.bootstrap import percentile_interval
from skinml.evaluation.intervals import expanded_level
from skinml.evaluation.means import behind_means
from skinml.evaluation.ranking import Values
from skinml.evaluation.weighted import Name
from skinml.gate.paired import Figure
from skinml.gate.rules import Margin, Rules
from skinml.labels import DIAGNOSES
from skinml.models.floors import Criterion

GAIN = "gain in balanced accuracy"

BETTER, NOT_SHOWN = "better", "no gain shown"
NOT_WORSE, WORSE, NOT_ASSESSABLE = "not worse", "worse", "not assessable"
WITHIN, OUTSIDE, NOT_MEASURED = "within bounds", "out of bounds", "not measured"


def judge_gain(found: Mapping[Name, Figure], lesions: Mapping[str, int], rules: Rules) -> Criterion:
    """Whether balanced accuracy has risen: the lower bound at the level of one look must be above 0.

    The bound is a percentile of the resampled difference (Efron & Tibshirani, 1993, section 13.3), further out
    if few lesions are behind it (`evaluation.intervals.expanded_level`). A diagnosis in which nothing changed
    does not vary in the resamples, as if that were certain; it is taken as if one lesion more had changed
    (`invariant_variance`).

    Args:
        found: the figures of `paired.compare_resampled`.
        lesions: of each diagnosis.
        rules: of the gate.

    """
    gain = found["balanced_accuracy",]
    changes = sensitivity_differences(found, lesions)
    behind = effective_lesions(changes, lesions)
    level = expanded_level(behind, 1 - 2 * rules.level)
    low, high = _ends(gain, level)
    added = normal_quantile(level) * math.sqrt(invariant_variance(changes, lesions)) / max(1, len(changes))
    low = gain.difference - math.hypot(gain.difference - low, added)
    high = gain.difference + math.hypot(high - gain.difference, added)
    return Criterion(
        criterion=GAIN,
        champion=gain.champion,
        challenger=gain.challenger,
        difference=gain.difference,
        interval=(low, high),
        margin=0.0,
        verdict=BETTER if low > 0 else NOT_SHOWN,
    )


def sensitivity_differences(found: Mapping[Name, Figure], lesions: Mapping[str, int]) -> dict[str, Values]:
    """The resampled difference in sensitivity of each diagnosis that has lesions."""
    return {
        name: found["per_class", name, "sensitivity"].differences for name in DIAGNOSES if lesions.get(name, 0)
    }


def effective_lesions(changes: Mapping[str, Values], lesions: Mapping[str, int]) -> int:
    """How many lesions a difference in balanced accuracy depends on (`evaluation.means.behind_means`)."""
    names: dict[str, Name] = {name: ("per_class", name, "sensitivity") for name in changes}
    resampled = {names[name]: values for name, values in changes.items()}
    found = behind_means(resampled, {names[name]: lesions[name] for name in changes})
    return found.get(("balanced_accuracy",), 1)


def invariant_variance(changes: Mapping[str, Values], lesions: Mapping[str, int]) -> float:
    """The variance that diagnoses add that are alike in every resample: as if one lesion more had changed.

    That is p (1 - p) / n with p = 1 / (n + 1), Laplace's rule of succession for none of n.
    """
    total = 0.0
    for name, values in changes.items():
        count = lesions[name]
        if np.ptp(values) == 0:
            share = 1 / (count + 1)
            total += share * (1 - share) / count
    return total


def judge_margin(margin: Margin, figure: Figure | None, lesions: int, rules: Rules) -> Criterion:
    """Whether a figure is not worse than the champion's by more than its margin.

    - "not worse": the bound is within the margin.
    - "worse": it is not, and either the whole interval is on the side of a loss, or the interval is so narrow
      that a challenger that is as good as the champion would have been within the margin.
    - "not assessable": it is not, and the interval holds 0 and is so wide that half of it exceeds the margin.
      So few lesions could not tell an equal challenger from a worse one. Also if the figure is undefined.

    A rate of n lesions has no bound closer than 1 - (1 - confidence) ** (1 / n), the highest rate of losses
    that n lesions without one leave possible (the exact binomial bound; 3.7 / n). Without it, three
    melanomas that both models find would prove that nothing is lost.

    Args:
        margin: what is asked.
        figure: both models' values, and the resampled difference; None if nothing could be computed.
        lesions: that the figure depends on; 0 if it is undefined.
        rules: of the gate.

    """
    name = f"{margin.name} not worse"
    sign = -1.0 if margin.lower_is_better else 1.0
    limit = -sign * margin.margin
    if figure is None or not lesions or math.isnan(figure.difference):
        return Criterion(criterion=name, margin=limit, verdict=NOT_ASSESSABLE)
    low, high = _ends(figure, expanded_level(lesions, 2 * rules.confidence - 1))
    if not margin.lower_is_better:
        unseen = 1 - (1 - rules.confidence) ** (1 / lesions)
        low, high = min(low, figure.difference - unseen), max(high, figure.difference + unseen)
    worst, best = sorted((sign * low, sign * high))
    if worst >= -margin.margin:
        verdict = NOT_WORSE
    elif best < 0 or (best - worst) / 2 <= margin.margin:
        verdict = WORSE
    else:
        verdict = NOT_ASSESSABLE
    return Criterion(
        criterion=name,
        champion=figure.champion,
        challenger=figure.challenger,
        difference=figure.difference,
        interval=(low, high),
        margin=limit,
        verdict=verdict,
    )


def judge_bounds(
    speed: tuple[float | None, float | None], size: tuple[int | None, int | None], rules: Rules
) -> list[Criterion]:
    """Whether the challenger is fast and small enough; what was not measured decides nothing.

    Args:
        speed: images per second of champion and challenger, on one machine.
        size: bytes of both.
        rules: of the gate.

    """
    return [
        _bound("images per second", *speed, rules.slowest, at_least=True),
        _bound("bytes of the model", *size, rules.largest, at_least=False),
    ]


def _bound(
    name: str, champion: float | None, challenger: float | None, factor: float, *, at_least: bool
) -> Criterion:
    named = f"{name} {'at least' if at_least else 'at most'} {factor:g} times the champion's"
    if not champion or challenger is None:
        return Criterion(criterion=named, champion=champion, challenger=challenger, verdict=NOT_MEASURED)
    limit = factor * champion
    met = challenger >= limit if at_least else challenger <= limit
    return Criterion(
        criterion=named,
        champion=champion,
        challenger=challenger,
        difference=challenger - champion,
        margin=limit,
        verdict=WITHIN if met else OUTSIDE,
    )


def normal_quantile(level: float) -> float:
    """The distance from its mean, in standard deviations, that holds `level` of a normal distribution."""
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))


def _ends(figure: Figure, level: float) -> tuple[float, float]:
    """The percentile interval; from the worst to the best that there is if half of the resamples have none."""
    low, high = percentile_interval(figure.differences, level) or (-1.0, 1.0)
    return min(low, figure.difference), max(high, figure.difference)
