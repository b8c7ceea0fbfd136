"""The floors below which a version becomes champion only by force, and the evidence of a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from skinml.models.judged import Judged
from skinml.requests.models import FloorsRequest

LOWER_IS_BETTER = ("ece", "brier")

COMPARED = ("balanced_accuracy", "macro_auc", "melanoma_sensitivity")
"""The figures of a comparison with the champion that are kept as evidence."""


class Floors(BaseModel):
    """The lowest value of each metric that the lower end of its 95 % interval must reach; None: no floor.

    Balanced accuracy must always be better than chance.
    """

    model_config = ConfigDict(frozen=True)

    balanced_accuracy: float | None = None
    macro_auc: float | None = None
    melanoma_sensitivity: float | None = None


def floors_of(request: FloorsRequest) -> Floors:
    """The floors that a request names."""
    return Floors(
        balanced_accuracy=request.floor_balanced_accuracy,
        macro_auc=request.floor_macro_auc,
        melanoma_sensitivity=request.floor_melanoma_sensitivity,
    )


class Criterion(BaseModel):
    """One criterion of a decision, as `promotions.evidence` keeps it.

    Attributes:
        criterion: what was asked, in words.
        champion: the value of the present champion; None for a floor.
        challenger: the value of the version decided on; None if it was not measured.
        difference: challenger less champion; None for a floor.
        interval: the 95 % interval: of `challenger` for a floor, otherwise of `difference`.
        margin: what the interval's lower end was held against.
        verdict: met, not met or not judged for a floor; better, worse, no difference shown or not compared.

    """

    model_config = ConfigDict(frozen=True)

    criterion: str
    champion: float | None = None
    challenger: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    margin: float | None = None
    verdict: str

    def in_words(self) -> str:
        """The criterion and what was found, for a log line or a reason."""
        if self.verdict == "not judged":
            return f"{self.criterion}: not judged, because the version keeps neither intervals nor predictions"
        low, high = self.interval or (float("nan"), float("nan"))
        return (
            f"{self.criterion}: {self.verdict}, {self.challenger:.4f}, 95 % interval {low:.4f} to {high:.4f},"
            f" its lower end must {'be above' if self._is_chance() else 'reach'} {self.margin:.4f}"
        )

    def _is_chance(self) -> bool:
        return self.criterion == BETTER_THAN_CHANCE


BETTER_THAN_CHANCE = "balanced_accuracy better than chance"


def judge_floors(judged: Judged, floors: Floors) -> list[Criterion]:
    """Hold a version against the floors.

    Chance is 1 in as many diagnoses as the test images show. A metric is judged by the lower end of its
    interval, so a test set that is too small to show it does not meet a floor.
    """
    chance = 1 / max(judged.classes(), 1)
    made = [_floor(judged, BETTER_THAN_CHANCE, "balanced_accuracy", chance)]
    for name, floor in floors.model_dump().items():
        if floor is not None:
            made.append(_floor(judged, f"{name} floor", name, floor))
    return made


def _floor(judged: Judged, criterion: str, name: str, floor: float) -> Criterion:
    value, interval = judged.metrics.get(name), judged.interval(name)
    if value is None or interval is None:
        return Criterion(criterion=criterion, challenger=value, margin=floor, verdict="not judged")
    met = interval[0] > floor if criterion == BETTER_THAN_CHANCE else interval[0] >= floor
    return Criterion(
        criterion=criterion,
        challenger=value,
        interval=interval,
        margin=floor,
        verdict="met" if met else "not met",
    )


def missed(criteria: Sequence[Criterion]) -> list[Criterion]:
    """The floors that a version does not meet, or that could not be judged."""
    return [one for one in criteria if one.verdict in ("not met", "not judged")]


def compared_with_champion(metrics: Mapping[str, Mapping[str, Any]]) -> list[Criterion]:
    """The criteria of a paired comparison, champion first (`evaluation.comparison.compare`).

    A difference is shown if its interval lies on one side of 0.
    """
    made = []
    for name in COMPARED:
        found = metrics.get(name, {})
        interval = found.get("interval")
        verdict = "not compared" if interval is None else _shown(name, *interval)
        made.append(
            Criterion(
                criterion=f"{name} against the champion",
                champion=found.get("first"),
                challenger=found.get("second"),
                difference=found.get("difference"),
                interval=interval,
                margin=0.0,
                verdict=verdict,
            )
        )
    return made


def _shown(name: str, low: float, high: float) -> str:
    if low <= 0 <= high:
        return "no difference shown"
    return "better" if (low > 0) != (name in LOWER_IS_BETTER) else "worse"
