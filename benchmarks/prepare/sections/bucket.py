"""From a bucket on this machine: `skinml prepare` beside the same job reading through s3fs."""

from __future__ import annotations

from benchmarks.harness.bench import Bench, Result
from benchmarks.harness.bucket import filled
from benchmarks.harness.contest import hold
from benchmarks.harness.systems import counts_on
from benchmarks.prepare.systems import SYSTEMS, rules

KIND = "q75"


def measure(bench: Bench) -> Result:
    """Seconds of both programs' small and large runs over the same objects."""
    with filled(bench, KIND, counts_on("bucket", SYSTEMS, bench.scale)) as entry:
        found: Result = hold(bench, rules(bench), {"bucket": entry})["bucket"]
    return found
