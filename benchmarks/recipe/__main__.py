"""The recipe taken apart: `make bench-recipe` switches off its parts and writes docs/recipe-results.md.

The recipe with all parts and without each of six, three seeds each, is 21 trainings. With efficientnet-lite0
and 5 epochs on two cores that takes about 6 hours. A version that the workspace already has is read, so it can
be interrupted at any time. `--off mixup --off cutout` measures some parts alone; `--model` and `--epochs` name
another network or length. Differences are measured on validation lesions: the test lesions are not looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.program import run
from benchmarks.recipe import render
from benchmarks.recipe.inputs import SIZE, add_flags
from benchmarks.recipe.sections import parts

BENCHMARK = Benchmark(
    package="benchmarks.recipe",
    description=__doc__ or "",
    name="recipe",
    sections={"parts": parts.measure},
    size=SIZE,
    render=render.section,
    marker="recipe",
    document=Path("docs/recipe-results.md"),
    repetitions=1,
    add_flags=add_flags,
)

if __name__ == "__main__":
    sys.exit(run(BENCHMARK))
