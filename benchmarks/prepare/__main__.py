"""The prepare benchmark: `make bench-prepare` runs it whole.

By hand: `python -m benchmarks.prepare --only startup`, or, to see that everything works, `--scale 0.02`, which
writes into the cache and leaves the document alone.
"""

from __future__ import annotations

import sys

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run
from benchmarks.prepare import render
from benchmarks.prepare.sections import bucket, fidelity, known, peers, scaling, startup
from benchmarks.prepare.systems import SIZE

BENCHMARK = Benchmark(
    package="benchmarks.prepare",
    description=__doc__ or "",
    name="prepare",
    sections={
        "startup": startup.measure,
        "peers": peers.measure,
        "known": known.measure,
        "scaling": scaling.measure,
        "bucket": bucket.measure,
        "fidelity": fidelity.measure,
    },
    size=SIZE,
    render=render.section,
    marker="prepare",
    plot=render.plot,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
