"""The coverage benchmark: `make bench-coverage` runs it and writes its table in docs/benchmarks.md.

By hand, to see that everything works: `--scale 0.02`, which draws ten test sets, writes into the cache and
leaves the document alone.
"""

from __future__ import annotations

import argparse
import sys

from dask.system import CPU_COUNT

from benchmarks.coverage import render
from benchmarks.coverage.sections import intervals
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run


def add_flags(parser: argparse.ArgumentParser) -> None:
    """How exact each interval is, and on how many cores."""
    parser.add_argument("--resamples", type=int, default=500, help="of each test set")
    parser.add_argument("--workers", type=int, default=CPU_COUNT, help="processes")


BENCHMARK = Benchmark(
    package="benchmarks.coverage",
    description=__doc__ or "",
    name="coverage",
    sections={"intervals": intervals.measure},
    size=32,
    render=render.section,
    marker="coverage",
    repetitions=1,
    sources=lambda: "predictions drawn at random",
    add_flags=add_flags,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
