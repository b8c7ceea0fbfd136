"""A night with nothing new: `skinml score` over known objects, beside the bare listing of the same."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import obstore

from benchmarks.harness.agreement import OutputError
from benchmarks.harness.bench import Bench, Result, answer, say
from benchmarks.harness.bucket import open_bucket
from benchmarks.harness.bundle import Bundle, make_bundle
from benchmarks.harness.systems import skinml
from benchmarks.scoring import listing_server
from tests.services.seaweedfs import ObjectStore
from tests.services.seaweedfs import running as running_seaweedfs

REAL = 100_000
SIMULATED = (100_000, 1_000_000)
IN_FLIGHT = 64
"""Objects that are being put at the same time."""


@dataclass(frozen=True)
class Archive:
    """An archive, how many objects are in it, and what opens it."""

    place: str
    objects: int
    url: str
    environment: Mapping[str, str]


def measure(bench: Bench) -> Result:
    """Seconds and the driver's memory of whole runs with nothing new, and seconds of bare listings.

    The workspaces are on a folder. Each place is listed empty, too, so that start-up can be told apart.
    """
    bundle = make_bundle(bench)
    simulated = [bench.count(objects) for objects in SIMULATED]
    with (
        running_seaweedfs(bench.fresh("seaweedfs")) as store,
        listing_server.running(simulated[-1]) as endpoints,
    ):
        archives = [
            *_put_real(store, bench.count(REAL)),
            *_simulated("paced", endpoints.paced, [0, *simulated]),
            *_simulated("unpaced", endpoints.unpaced, [0, *simulated]),
        ]
        workspaces = _fill(bench, bundle, archives)
        places: Result = {}
        rows = [places.setdefault(one.place, []) for one in archives]
        for one, place in zip(archives, rows, strict=True):
            place.append({"objects": one.objects, "seconds": [], "listing": [], "driver_mb": []})
        for repetition in range(bench.repetitions):
            for one in archives:
                row = next(row for row in places[one.place] if row["objects"] == one.objects)
                _measure_once(bench, one, workspaces[one.url], row)
                turn = f"known {repetition + 1}/{bench.repetitions}"
                last = f"{row['seconds'][-1]:.2f} s, {row['listing'][-1]:.2f} s to list"
                say(f"{turn}: {one.objects:,} objects, {one.place}: {last}")
    return {"page_ms": round(1000 * listing_server.PAGE_SECONDS), "places": places}


def _measure_once(bench: Bench, one: Archive, workspace: Path, row: Result) -> None:
    command = skinml(workspace, "score", "--archive", one.url)
    night = bench.run(command, one.environment, memory=True)
    result = answer(night)
    if (result["listed"], result["skipped"], result["scored"]) != (one.objects, one.objects, 0):
        raise OutputError(f"of {one.objects} known objects {result['skipped']} were skipped")
    listing = bench.run(
        [sys.executable, "-m", "benchmarks.scoring.peers.bare_listing", one.url], one.environment
    )
    if int(listing.stdout) != one.objects:
        raise OutputError(f"of {one.objects} objects {listing.stdout.strip()} were listed")
    row["seconds"].append(round(night.seconds, 4))
    row["listing"].append(round(listing.seconds, 4))
    row["driver_mb"].append(night.driver_mb and round(night.driver_mb, 1))


def _put_real(store: ObjectStore, objects: int) -> list[Archive]:
    """An empty bucket, and one with so many objects of a few bytes: they are listed and never read."""
    empty, full = store.new_bucket(), store.new_bucket()
    opened = open_bucket(store, full)

    def put(numbers: range) -> None:
        for number in numbers:
            obstore.put(opened, listing_server.key(number), str(number).encode())

    say(f"putting {objects:,} objects ...")
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        list(pool.map(put, [range(start, objects, IN_FLIGHT) for start in range(IN_FLIGHT)]))
    counts = {empty: 0, full: objects}
    environment = store.environment()
    return [Archive("real", count, f"s3://{name}/archive", environment) for name, count in counts.items()]


def _simulated(place: str, endpoint: str, counts: list[int]) -> list[Archive]:
    environment = listing_server.environment(endpoint)
    return [Archive(place, count, listing_server.url(count), environment) for count in counts]


def _fill(bench: Bench, bundle: Bundle, archives: list[Archive]) -> dict[str, Path]:
    """A workspace for each archive, by its URL, in which all its objects are scored."""
    workspaces: dict[str, Path] = {}
    for number, one in enumerate(reversed(archives)):  # simulated ones through the port that answers at once
        if one.url not in workspaces:
            workspaces[one.url] = bundle.copy_to(bench.fresh(f"known-{number}"))
            if one.objects:
                say(f"filling `scores` with {one.objects:,} rows ...")
                fill = [sys.executable, "-m", "benchmarks.scoring.fill", str(workspaces[one.url]), one.url]
                bench.run([*fill, *bundle.model], one.environment)
    return workspaces
