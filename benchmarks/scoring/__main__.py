"""The score benchmark: `make bench-score` runs it whole.

By hand: `python -m benchmarks.scoring --only known`, or, to see that everything works, `--scale 0.05`, which
writes into the cache and leaves the document alone.
"""

from __future__ import annotations

import sys

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run
from benchmarks.scoring import render
from benchmarks.scoring.peers.common import SIZE
from benchmarks.scoring.sections import bucket, folder, known, network

BENCHMARK = Benchmark(
    package="benchmarks.scoring",
    description=__doc__ or "",
    name="score",
    sections={
        "network": network.measure,
        "folder": folder.measure,
        "bucket": bucket.measure,
        "known": known.measure,
    },
    size=SIZE,
    render=render.section,
    marker="score",
    plot=render.plot,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
