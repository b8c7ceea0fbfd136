"""From a folder: every system on the same files."""

from __future__ import annotations

from benchmarks.bench import Bench, Result
from benchmarks.scoring import contest
from benchmarks.scoring.bundle import make_bundle


def measure(bench: Bench) -> Result:
    """Seconds of each system's small and large runs."""
    return contest.hold(bench, make_bundle(bench), "folder", lambda given: str(given.images))
