"""Raw times to what is said of them: what a known object costs beside listing it, and which targets are met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.harness.bench import Result
from benchmarks.harness.figures import Target, at_least, at_most, peak, ratio, speeds
from benchmarks.harness.measure import median, seconds_per_image
from benchmarks.harness.systems import LIMIT, US
from benchmarks.scoring.systems import INT8


@dataclass(frozen=True)
class KnownNight:
    """A night with nothing new over so many objects, medians of the repetitions.

    Attributes:
        objects: how many.
        seconds: of the whole run.
        listing: seconds of the whole bare listing.
        night_microseconds: what one more object costs the run; None for an empty archive.
        listing_microseconds: what it costs the bare listing.
        times: the one over the other.
        driver_mb: the largest peak of the driver's memory.
    """

    objects: int
    seconds: float | None
    listing: float | None
    night_microseconds: float | None
    listing_microseconds: float | None
    times: float | None
    driver_mb: float | None


def known_nights(rows: list[Result]) -> list[KnownNight]:
    """The nights of one place, of which the first is over an empty archive."""
    empty = rows[0]
    return [_known_night(empty, row) for row in rows]


def _known_night(empty: Result, row: Result) -> KnownNight:
    nights = _slopes(empty, row, "seconds")
    listings = _slopes(empty, row, "listing")
    ratios = [
        night / listing if min(night, listing) > 0 else None  # noise ate one of them
        for night, listing in zip(nights, listings, strict=True)
    ]
    return KnownNight(
        objects=row["objects"],
        seconds=median(row["seconds"]),
        listing=median(row["listing"]),
        night_microseconds=median(nights),
        listing_microseconds=median(listings),
        times=median(ratios),
        driver_mb=peak(row["driver_mb"]),
    )


def _slopes(empty: Result, row: Result, key: str) -> list[float]:
    """Microseconds an object, of each repetition."""
    if row["objects"] == 0:
        return []
    pairs = zip(empty[key], row[key], strict=True)
    return [1e6 * seconds_per_image((0, none), (row["objects"], all_)) for none, all_ in pairs]


def largest(found: Result, place: str) -> KnownNight | None:
    """The largest night of a place; None where it was not measured."""
    rows = found["known"]["figures"]["places"][place] if "known" in found else []
    return known_nights(rows)[-1] if rows else None


def targets(found: Result) -> list[Target]:
    """Every promise beside what was measured."""
    systems = {name: speeds(found[name]["figures"]) for name in ("folder", "bucket") if name in found}
    folder = systems.get("folder", {})
    return [
        at_least("skinml in fp32, of the limit", 0.8, ratio(folder.get(US), folder.get(LIMIT))),
        at_least("... and of tf.data + Keras", 2, ratio(folder.get(US), folder.get("tf_data"))),
        at_least("... and of Ray Data", 7, ratio(folder.get(US), folder.get("ray_data"))),
        at_least("skinml in int8, of skinml in fp32", 1.5, ratio(folder.get(US + INT8), folder.get(US))),
        *_night_targets(found),
        at_most("peak memory of a scoring worker", 250, _worker_mb(found), "MB", 0),
    ]


def _night_targets(found: Result) -> list[Target]:
    real, simulated = largest(found, "real"), largest(found, "paced")
    drivers = [night.driver_mb for night in (real, simulated, largest(found, "unpaced")) if night]

    def objects(night: KnownNight | None, promised: int) -> str:
        return f"{night.objects if night else promised:,}"

    listed = f"nothing new: a known object of {objects(simulated, 1_000_000)} (simulated), of listing it"
    return [
        at_most(listed, 1.2, simulated.times if simulated else None, "x", 2),
        at_most(f"... of {objects(real, 100_000)} in SeaweedFS", 1.2, real.times if real else None, "x", 2),
        at_most("... and the driver's peak memory", 400, peak(drivers), "MB", 0),
    ]


def _worker_mb(found: Result) -> float | None:
    """The largest peak of any worker, of both places and precisions."""
    memories: list[Mapping[str, float | None]] = [
        memory
        for name in ("folder", "bucket")
        for memory in (found[name]["figures"]["memory"].values() if name in found else ())
    ]
    return peak([memory["worker_mb"] for memory in memories])
