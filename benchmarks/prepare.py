"""The prepare benchmark: every section in turn, figures to JSON after each, then the document and its plot.

`make bench-prepare` runs it whole. By hand: `python -m benchmarks.prepare --only startup`, or, to see that
everything works, `--scale 0.02`, which writes into the cache and leaves the document alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks import render
from benchmarks.bench import Result
from benchmarks.program import Program, failed_systems, run
from benchmarks.sections import bucket, fidelity, known, peers, scaling, startup


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for. Returns 1 where a system failed, else 0."""
    return run(PROGRAM, arguments)


def failures(found: Result) -> list[str]:
    """Which systems failed, each with its reason."""
    return failed_systems(list(found.get("peers", {}).get("figures", {}).values()))


PROGRAM = Program(
    name="benchmarks.prepare",
    description=__doc__ or "",
    sections={
        "startup": startup.measure,
        "peers": peers.measure,
        "known": known.measure,
        "scaling": scaling.measure,
        "bucket": bucket.measure,
        "fidelity": fidelity.measure,
    },
    size=64,
    results=render.RESULTS,
    write=render.write,
    failures=failures,
)

if __name__ == "__main__":
    sys.exit(main())
