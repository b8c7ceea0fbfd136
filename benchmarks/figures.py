"""Raw times to what is said of them: images per second, start-up, ratios, and whether each target is met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bench import Result
from benchmarks.measure import exponent, median, rate, seconds_per_image, startup_seconds
from benchmarks.systems import LIMIT, US


@dataclass(frozen=True)
class Speed:
    """One system on one input.

    Attributes:
        title: of the system, for people.
        images: of its small and its large run.
        rate: images a second between the two, median; None where it failed or noise ate it.
        slowest: the lowest rate of a repetition.
        fastest: the highest.
        startup: seconds paid once, median.
        psnr_db: the lowest against Pillow's pixels; None where no pixels are left.
        error: why it failed.
    """

    title: str
    images: tuple[int, int]
    rate: float | None
    slowest: float | None
    fastest: float | None
    startup: float | None
    psnr_db: float | None
    error: str | None


def speed(record: Result) -> Speed:
    """One record of the peers or bucket section."""
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
        psnr_db=record.get("psnr_db"),
        error=record.get("error"),
    )


def speeds(entry: Result) -> dict[str, Speed]:
    """All systems on one input: the limit, then the fastest first, those that failed last."""
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


def targets(found: Result) -> list[Target]:
    """Every promise beside what was measured, in the order of the sections."""
    figures = {name: section["figures"] for name, section in found.items()}
    return [
        *_peer_targets(figures.get("peers", {})),
        *_startup_targets(figures.get("startup"), figures.get("known")),
        *_scaling_targets(figures.get("scaling")),
        *_bucket_targets(figures.get("bucket")),
    ]


def _peer_targets(inputs: Result) -> list[Target]:
    by_kind = {kind: speeds(entry) for kind, entry in inputs.items()}

    def times(kind: str, other: str) -> float | None:
        systems = by_kind.get(kind, {})
        return ratio(systems.get(US), systems.get(other))

    return [
        at_least("600x450, quality 75: skinml of the limit", 0.65, times("q75", LIMIT)),
        at_least("... and of tf.data", 2.5, times("q75", "tf_data")),
        at_least("... and of Ray Data", 8, times("q75", "ray_data")),
        at_least("... and of Daft", 8, times("q75", "daft")),
        at_least("... and of the thesis script", 8, times("q75", "thesis")),
        at_least("near-original bytes: skinml of the limit", 0.9, times("near_original", LIMIT)),
        at_least("camera files: skinml of the same job with a full decode", 4, times("camera", "full_decode")),
    ]


def _startup_targets(startup: Result | None, known: Result | None) -> list[Target]:
    without = statistics.median(startup["without_server"]) if startup else None
    served = statistics.median(startup["with_server"]) if startup else None
    over = beyond_listing(known) if known else None
    images = f"{known['images']:,}" if known else "50,000"
    return [
        at_most("start-up of a verb without a Prefect server", 6, without, "s"),
        at_most("start-up of a verb with a running Prefect server", 9, served, "s"),
        at_most(f"a run over {images} known images, beyond listing them", 3, over, "s"),
    ]


def beyond_listing(known: Result) -> float:
    """Seconds of a whole run with nothing new, less those of a bare listing."""
    return float(statistics.median(known["seconds"]) - statistics.median(known["listing"]))


def _scaling_targets(scaling: Result | None) -> list[Target]:
    runs = scaling["runs"] if scaling else []
    drivers = [known for row in runs if (known := median(row["driver_mb"]))]
    spread = 100 * (max(drivers) / min(drivers) - 1) if drivers else None
    worker = max((known for row in runs if (known := peak(row["worker_mb"]))), default=None)
    return [
        at_most("exponent of time over images", 1.03, growth(scaling) if scaling else None, "", 3),
        at_most("growth of the driver's peak memory", 10, spread, "%"),
        at_most("peak memory of a worker", 400, worker, "MB", 0),
    ]


def peak(values: Sequence[float | None]) -> float | None:
    """The largest of what is known."""
    return max((value for value in values if value is not None), default=None)


def growth(scaling: Result) -> float | None:
    """The exponent of time over the number of images, start-up counted apart."""
    rows = [scaling["startup"], *scaling["runs"]]
    return exponent([row["images"] for row in rows], [statistics.median(row["seconds"]) for row in rows])


def _bucket_targets(bucket: Result | None) -> list[Target]:
    found = ratio(speed(bucket["skinml"]), speed(bucket["s3fs"])) if bucket else None
    return [at_least("from a bucket: skinml of the same job through s3fs", 2.5, found)]


def spread_of(values: Sequence[float]) -> str:
    """Median, and lowest to highest where there are several."""
    middle = statistics.median(values)
    if len(values) == 1:
        return f"{middle:.2f}"
    return f"{middle:.2f} ({min(values):.2f}-{max(values):.2f})"
