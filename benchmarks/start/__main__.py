"""The start benchmark: `make bench-start` runs it whole and writes its part of docs/benchmarks.md.

By hand: `python -m benchmarks.start`, or, to see that everything works, `--scale 0.5`, which writes into
the cache and leaves the document alone. `--before REVISION` measures another commit of this clone beside it.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run
from benchmarks.start import render
from benchmarks.start.sections import imports, verbs

BEFORE = "0d4d8a3"
"""The last commit that loaded Prefect for every flow."""


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--before", default=BEFORE, help=f"the commit to compare with (default: {BEFORE})")


BENCHMARK = Benchmark(
    package="benchmarks.start",
    description=__doc__ or "",
    name="start",
    sections={"verbs": verbs.measure, "imports": imports.measure},
    size=32,
    render=render.section,
    marker="start",
    repetitions=5,
    add_flags=_add_flags,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
