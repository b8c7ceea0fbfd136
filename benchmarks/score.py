"""The score benchmark: every section in turn, figures to JSON after each, then the document and its plot.

`make bench-score` runs it whole. By hand: `python -m benchmarks.score --only known`, or, to see that
everything works, `--scale 0.05`, which writes into the cache and leaves the document alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.bench import Result
from benchmarks.program import Program, failed_systems, run
from benchmarks.scoring import render
from benchmarks.scoring.peers.common import SIZE
from benchmarks.scoring.sections import bucket, folder, known, network


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for. Returns 1 where a system failed, else 0."""
    return run(PROGRAM, arguments)


def failures(found: Result) -> list[str]:
    """Which systems failed, each with its reason."""
    return failed_systems([found[name]["figures"] for name in ("folder", "bucket") if name in found])


PROGRAM = Program(
    name="benchmarks.score",
    description=__doc__ or "",
    sections={
        "network": network.measure,
        "folder": folder.measure,
        "bucket": bucket.measure,
        "known": known.measure,
    },
    size=SIZE,
    results=render.RESULTS,
    write=render.write,
    failures=failures,
)

if __name__ == "__main__":
    sys.exit(main())
