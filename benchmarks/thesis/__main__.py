"""The thesis's table: `make results` fits what is missing and writes docs/results.md from the recorded runs.

A seed takes about 40 minutes on two cores. A run that the workspace already has (same protocol, epochs and
seed) is read, not fitted again: `--workspace` names a workspace with such runs. `--render` only writes the
document.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run
from benchmarks.thesis import figures, render
from benchmarks.thesis.inputs import SIZE, add_flags
from benchmarks.thesis.sections import seeds

BENCHMARK = Benchmark(
    package="benchmarks.thesis",
    description=__doc__ or "",
    name="thesis",
    sections={"seeds": seeds.measure},
    size=SIZE,
    render=render.section,
    marker="thesis",
    document=Path("docs/results.md"),
    excerpts={Path("README.md"): render.short},
    draw=figures.draw,
    repetitions=1,
    sources=lambda: "the labelled images themselves",
    add_flags=add_flags,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
