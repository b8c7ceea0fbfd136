"""From a bucket on this machine: the systems that can read one, on the same objects."""

from __future__ import annotations

from benchmarks.bench import Bench, Result
from benchmarks.inputs import Input
from benchmarks.scoring import contest
from benchmarks.scoring.bundle import make_bundle
from benchmarks.sections.bucket import upload
from tests.services.seaweedfs import running


def measure(bench: Bench) -> Result:
    """Seconds of each system's small and large runs; workspaces are on a folder."""
    bundle = make_bundle(bench)
    with running(bench.fresh("seaweedfs")) as store:
        bucket = store.new_bucket()
        for count in contest.counts(bench, "bucket"):
            upload(store, bucket, bench.input(contest.KIND, count))

        def url_of(given: Input) -> str:
            return f"s3://{bucket}/{given.count}"

        return contest.hold(bench, bundle, "bucket", url_of, store.environment())
