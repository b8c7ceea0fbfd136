"""The gate's error rates: `make bench-gate` measures them and writes them into docs/change-control.md.

It takes about 20 minutes on two quiet cores. It needs a workspace with two or more runs of one recipe that
differ in their seed: the one that `make results` leaves in the cache, or that of `--workspace`. Predictions
stay there: only counts are recorded.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.gate import figures, render
from benchmarks.gate.inputs import add_flags
from benchmarks.gate.sections import false_promotions, pairs, power, small_test_sets
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run

BENCHMARK = Benchmark(
    package="benchmarks.gate",
    description=__doc__ or "",
    name="gate",
    sections={
        "false_promotions": false_promotions.measure,
        "small_test_sets": small_test_sets.measure,
        "power": power.measure,
        "pairs": pairs.measure,
    },
    size=32,
    render=render.section,
    marker="gate",
    document=Path("docs/change-control.md"),
    draw=figures.draw,
    repetitions=1,
    sources=lambda: "predictions of real test images by three fits of one recipe",
    add_flags=add_flags,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
