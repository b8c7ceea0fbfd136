"""How time and memory grow: `skinml prepare` from a thousand images to fifty thousand."""

from __future__ import annotations

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.systems import skinml_prepare

COUNTS = (1_000, 3_000, 10_000, 50_000)
FEW = 16
"""Images of the run that stands for start-up."""


def measure(bench: Bench) -> Result:
    """Seconds and peak memory of the driver and of its largest worker, for each number of images."""
    counts = [FEW, *(bench.count(count) for count in COUNTS)]
    inputs = [bench.input("q75", count, warm=True) for count in counts]
    rows: list[Result] = [
        {"images": count, "seconds": [], "driver_mb": [], "worker_mb": []} for count in counts
    ]
    for repetition in range(bench.repetitions):
        for given, row in zip(inputs, rows, strict=True):
            workspace = bench.fresh("workspace")
            command = skinml_prepare(workspace, str(given.images), given.metadata, bench.size)
            measured = bench.run(command, memory=True)
            row["seconds"].append(round(measured.seconds, 4))
            row["driver_mb"].append(measured.driver_mb and round(measured.driver_mb, 1))
            row["worker_mb"].append(measured.worker_mb and round(measured.worker_mb, 1))
            say(f"scaling {repetition + 1}/{bench.repetitions}: {given.count} in {measured.seconds:.2f} s")
    return {"startup": rows[0], "runs": rows[1:]}
