"""Put an input's images into a bucket on an S3 server of this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import obstore
from obstore.store import S3Store

from benchmarks.harness.bench import Bench
from benchmarks.harness.contest import Entry
from benchmarks.harness.inputs import Input
from tests.services.seaweedfs import ObjectStore, running

UPLOADS_IN_FLIGHT = 32


@contextmanager
def filled(bench: Bench, kind: str, counts: Iterable[int]) -> Iterator[Entry]:
    """A server with the first images of a kind, so many of them below a prefix each; it ends with the block."""
    with running(bench.fresh("seaweedfs")) as store:
        bucket = store.new_bucket()
        for count in counts:
            upload(store, bucket, bench.input(kind, count))
        yield Entry("from a bucket", kind, lambda given: f"s3://{bucket}/{given.count}", store.environment())


def upload(store: ObjectStore, bucket: str, given: Input) -> None:
    """Put an input's images below a prefix that is named by their number."""
    opened = open_bucket(store, bucket)
    with ThreadPoolExecutor(UPLOADS_IN_FLIGHT) as pool:
        list(pool.map(lambda file: obstore.put(opened, f"{given.count}/{file.name}", file), given.files()))


def open_bucket(store: ObjectStore, bucket: str) -> S3Store:
    """A connection that is not skinml's."""
    return S3Store(
        bucket,
        endpoint=store.endpoint,
        access_key_id=store.access_key,
        secret_access_key=store.secret_key,
        region="us-east-1",
        client_options={"allow_http": True},
    )
