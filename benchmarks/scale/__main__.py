"""The scale benchmark: `make bench-scale` runs it whole and writes the tables of docs/scale.md.

By hand: `python -m benchmarks.scale --only dispatch`, or, to see that everything works, `--scale 0.01`, which
writes into the cache and leaves the document alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run
from benchmarks.scale import render
from benchmarks.scale.sections import dispatch, ledger, table

BENCHMARK = Benchmark(
    package="benchmarks.scale",
    description=__doc__ or "",
    name="scale",
    sections={"ledger": ledger.measure, "table": table.measure, "dispatch": dispatch.measure},
    size=32,
    render=render.section,
    marker="growth",
    document=Path("docs/scale.md"),
    repetitions=1,
    sources=lambda: "names and rows drawn at random",
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
