"""The overhead benchmark: `make bench-overhead` runs it whole and writes its part of docs/benchmarks.md.

By hand: `python -m benchmarks.overhead`, or, to see that everything works, `--scale 0.01`, which writes into
the cache and leaves the document alone.
"""

from __future__ import annotations

import sys

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run
from benchmarks.overhead import render
from benchmarks.overhead.sections import night

BENCHMARK = Benchmark(
    package="benchmarks.overhead",
    description=__doc__ or "",
    name="overhead",
    sections={"night": night.measure},
    size=32,
    render=render.section,
    marker="overhead",
    repetitions=1,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
