"""From a folder: every system on the same files."""

from __future__ import annotations

from benchmarks.harness.bench import Bench, Result
from benchmarks.harness.contest import Entry
from benchmarks.scoring.systems import KIND, compare


def measure(bench: Bench) -> Result:
    """Seconds of each system's small and large runs, how exact its probabilities are, and skinml's memory."""
    return compare(bench, "folder", Entry("from a folder", KIND))
