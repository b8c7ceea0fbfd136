"""The zoo compared: `make bench-models` fits what is missing and writes docs/zoo-results.md from all versions.

On HAM10000 and two cores the whole takes about 9 hours: 5 to 10 minutes a seed of thesis-cnn, 15 for
linear-probe, 2 hours a seed of efficientnet-lite0. A version that the workspace already has (same model,
recipe, epochs, seed and views) is read, not fitted again, so it can be interrupted at any time. `--contestant
NAME` fits one alone, and `--only contestants` leaves the speeds out. `--render` only writes the documents.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run
from benchmarks.models import render
from benchmarks.models.inputs import SIZE, add_flags
from benchmarks.models.sections import contestants, speed

BENCHMARK = Benchmark(
    package="benchmarks.models",
    description=__doc__ or "",
    name="models",
    sections={"contestants": contestants.measure, "speed": speed.measure},
    size=SIZE,
    render=render.section,
    marker="models",
    document=Path("docs/zoo-results.md"),
    excerpts={Path("README.md"): render.short},
    repetitions=1,
    add_flags=add_flags,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
