"""A run that finds nothing new: `skinml prepare` over images that are all prepared, and a bare listing."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.harness.agreement import OutputError
from benchmarks.harness.bench import Bench, Result, answer, say
from benchmarks.harness.systems import skinml_prepare

IMAGES = 50_000


def measure(bench: Bench) -> Result:
    """Seconds of whole runs with nothing new, as they report them themselves, and of listing the folder."""
    given = bench.input("q75", bench.count(IMAGES), warm=True)
    workspace = bench.fresh("workspace")
    command = skinml_prepare(workspace, str(given.images), given.metadata, bench.size)
    bench.run(command)
    found: Result = {"images": given.count, "seconds": [], "reported": [], "listing": []}
    for _ in range(bench.repetitions):
        again = bench.run(command)
        result = answer(again)
        if (result["skipped"], result["prepared"]) != (given.count, 0):
            raise OutputError(f"of {given.count} known images {result['skipped']} were skipped")
        found["seconds"].append(round(again.seconds, 4))
        found["reported"].append(result["seconds"])
        found["listing"].append(round(list_folder(given.images), 4))
    say(f"known: {found['seconds']} s, {found['listing']} s to list")
    return found


def list_folder(folder: Path) -> float:
    """Seconds to list a folder's files with their sizes and times, and nothing else."""
    start = time.perf_counter()
    with os.scandir(folder) as entries:
        for entry in entries:
            entry.stat()
    return time.perf_counter() - start
