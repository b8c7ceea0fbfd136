"""The training benchmark: `make bench-train` runs it whole and writes its part of docs/benchmarks.md.

By hand: `python -m benchmarks.training`, or, to see that everything works, `--scale 0.01`, which writes into
the cache and leaves the document alone. KERAS_BACKEND says what it runs on. It finds a GPU by itself, and then
measures larger batches and the thesis's 80 epochs.
"""

from __future__ import annotations

import sys

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run
from benchmarks.training import render
from benchmarks.training.sections import augmentation, memory, speed, thesis

BENCHMARK = Benchmark(
    package="benchmarks.training",
    description=__doc__ or "",
    name="training",
    sections={
        "speed": speed.measure,
        "augmentation": augmentation.measure,
        "memory": memory.measure,
        "thesis": thesis.measure,
    },
    size=32,
    render=render.section,
    marker="training",
    repetitions=1,
    sources=lambda: "noise",
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
