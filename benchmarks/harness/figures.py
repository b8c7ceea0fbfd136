"""Turn raw times into images per second, start-up times and ratios, and check the promises."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness.bench import Result
from benchmarks.harness.measure import median, rate, seconds_per_image, startup_seconds
from benchmarks.harness.systems import LIMIT


@dataclass(frozen=True)
class Speed:
    """One system on one entry of a contest.

    Attributes:
        title: of the system, for people.
        images: of its small and its large run.
        rate: images a second between the two, median; None where it failed or noise ate it.
        slowest: the lowest rate of a repetition.
        fastest: the highest.
        startup: seconds paid once, median.
        error: why it failed.
    """

    title: str
    images: tuple[int, int]
    rate: float | None
    slowest: float | None
    fastest: float | None
    startup: float | None
    error: str | None


def speed(record: Result) -> Speed:
    """One system's record of a contest."""
    small, large = record["images"]
    pairs = list(zip(*record["seconds"], strict=False))
    rates = [rate(seconds_per_image((small, few), (large, many))) for few, many in pairs]
    known = [one for one in rates if one is not None]
    return Speed(
        title=record.get("title", ""),
        images=(small, large),
        rate=median(rates),
        slowest=min(known, default=None),
        fastest=max(known, default=None),
        startup=median([startup_seconds((small, few), (large, many)) for few, many in pairs]),
        error=record.get("error"),
    )


def speeds(entry: Result) -> dict[str, Speed]:
    """All systems on one entry: the limit, then the fastest first, those that failed last."""
    found = {name: speed(record) for name, record in entry["systems"].items()}
    return dict(sorted(found.items(), key=lambda item: (item[0] != LIMIT, -(item[1].rate or 0))))


def ratio(one: Speed | None, other: Speed | None) -> float | None:
    """How many times as fast one is as the other; None where either is not known."""
    if one is None or other is None or not one.rate or not other.rate:
        return None
    return one.rate / other.rate


@dataclass(frozen=True)
class Target:
    """Something promised, what was found, and whether that keeps it (None: not measured)."""

    what: str
    promised: str
    found: str
    met: bool | None


def at_least(what: str, least: float, found: float | None, unit: str = "x") -> Target:
    """A ratio that shall not be lower."""
    shown = "not measured" if found is None else f"{found:.2f} {unit}"
    return Target(what, f"at least {least:g} {unit}", shown, None if found is None else found >= least)


def at_most(what: str, most: float, found: float | None, unit: str, digits: int = 1) -> Target:
    """A cost that shall not be higher."""
    shown = "not measured" if found is None else f"{found:.{digits}f} {unit}".strip()
    promised = f"at most {most:g} {unit}".strip()
    return Target(what, promised, shown, None if found is None else found <= most)


def peak(values: Sequence[float | None]) -> float | None:
    """The largest of what is known."""
    return max((value for value in values if value is not None), default=None)


def spread_of(values: Sequence[float]) -> str:
    """Median, and lowest to highest where there are several."""
    middle = statistics.median(values)
    if len(values) == 1:
        return f"{middle:.2f}"
    return f"{middle:.2f} ({min(values):.2f}-{max(values):.2f})"
