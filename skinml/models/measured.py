"""Parse `metrics.json` of a version strictly: decisions, lists and champion.json use its figures.

The right hash does not mean the right content: a bundle may come from another place. Older versions have fewer
keys, so all are optional. Keys that are not named here are passed on as they are.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, TypeAdapter

from skinml.strict_json import parse_json


def _fraction(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{value:g} is not within 0 to 1")
    return value


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError(f"its lower end {interval[0]:g} is above its upper end {interval[1]:g}")
    return interval


Number = Annotated[float, Field(strict=True)]
"""No text and no bool; finite, because `parse_json` refuses other numbers."""

Fraction = Annotated[Number, AfterValidator(_fraction)]
Interval = Annotated[tuple[Fraction, Fraction], AfterValidator(_ordered)]


class _Metrics(BaseModel):
    """None: a figure that the images do not define."""

    model_config = ConfigDict(extra="allow")

    accuracy: Fraction | None = None
    balanced_accuracy: Fraction | None = None
    macro_auc: Fraction | None = None
    melanoma_sensitivity: Fraction | None = None
    per_class: dict[str, dict[str, StrictInt | Number | None]] = {}


class _Intervals(BaseModel):
    model_config = ConfigDict(extra="allow")

    accuracy: Interval | None = None
    balanced_accuracy: Interval | None = None
    macro_auc: Interval | None = None
    melanoma_sensitivity: Interval | None = None


class _Section(BaseModel):
    model_config = ConfigDict(extra="allow")

    metrics: _Metrics | None = None
    intervals: _Intervals | None = None
    notes: list[str] | None = None


class _Measured(_Section):
    honest: _Section | None = None


_MEASURED = TypeAdapter(_Measured)


def parse_measured(data: bytes) -> dict[str, Any]:
    """Parse `metrics.json`: what the file says, as plain data.

    Args:
        data: of the file; its hash was checked.

    Raises:
        ValueError: it is not JSON, has a number that is not finite, or a figure that decisions use is not in
            its range; in one line that says where.

    """
    return parse_json(_MEASURED, data).model_dump(mode="json", exclude_unset=True)
