"""The accuracy benchmark: `make bench-accuracy` runs it where the real images are (`../shared/ham10000`).

`--images` and `--metadata` name others. By hand, to see that everything works: `--scale 0.1`, which fits for a
tenth of the epochs, writes into the cache and leaves the document alone.
"""

from __future__ import annotations

import sys

from benchmarks.accuracy import render
from benchmarks.accuracy.inputs import SIZE, add_flags
from benchmarks.accuracy.sections import decoding
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run

BENCHMARK = Benchmark(
    package="benchmarks.accuracy",
    description=__doc__ or "",
    name="accuracy",
    sections={"decoding": decoding.measure},
    size=SIZE,
    render=render.section,
    marker="accuracy",
    repetitions=1,
    sources=lambda: "the labelled images themselves",
    add_flags=add_flags,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
