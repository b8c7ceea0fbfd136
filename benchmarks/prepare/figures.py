"""What was promised of preparing, beside what was measured."""

from __future__ import annotations

import statistics

from benchmarks.harness.bench import Result
from benchmarks.harness.figures import Target, at_least, at_most, peak, ratio, speeds
from benchmarks.harness.measure import exponent, median
from benchmarks.harness.systems import LIMIT, US


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


def growth(scaling: Result) -> float | None:
    """The exponent of time over the number of images, start-up counted apart."""
    rows = [scaling["startup"], *scaling["runs"]]
    return exponent([row["images"] for row in rows], [statistics.median(row["seconds"]) for row in rows])


def _bucket_targets(bucket: Result | None) -> list[Target]:
    systems = speeds(bucket) if bucket else {}
    found = ratio(systems.get(US), systems.get("s3fs"))
    return [at_least("from a bucket: skinml of the same job through s3fs", 2.5, found)]
