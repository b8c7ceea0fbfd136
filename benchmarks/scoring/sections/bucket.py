"""From a bucket on this machine: the systems that can read one, on the same objects."""

from __future__ import annotations

from benchmarks.harness.bench import Bench, Result
from benchmarks.harness.bucket import filled
from benchmarks.harness.systems import counts_on
from benchmarks.scoring.systems import KIND, SYSTEMS, compare


def measure(bench: Bench) -> Result:
    """Seconds of each system's small and large runs, how exact its probabilities are, and skinml's memory."""
    with filled(bench, KIND, counts_on("bucket", SYSTEMS, bench.scale)) as entry:
        return compare(bench, "bucket", entry)
