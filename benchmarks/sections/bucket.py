"""From a bucket on this machine: `skinml prepare` beside the same job reading through s3fs."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
from obstore.store import S3Store

from benchmarks.agreement import check
from benchmarks.bench import Bench, Result, say
from benchmarks.inputs import Input
from benchmarks.systems import Sizes, scaled, skinml_prepare
from tests.services.seaweedfs import ObjectStore, running

SIZES: dict[str, Sizes] = {"skinml": (1024, 5120), "s3fs": (256, 1792)}
UPLOADS_IN_FLIGHT = 32


def measure(bench: Bench) -> Result:
    """Seconds of both programs' small and large runs over the same objects."""
    found: Result = {
        name: {"images": list(scaled(sizes, bench.scale)), "seconds": [[], []], "psnr_db": None}
        for name, sizes in SIZES.items()
    }
    with running(bench.fresh("seaweedfs")) as store:
        bucket = store.new_bucket()
        for count in {count for record in found.values() for count in record["images"]}:
            upload(store, bucket, bench.input("q75", count))
        for repetition in range(bench.repetitions):
            for name, record in found.items():
                for count, seconds in zip(record["images"], record["seconds"], strict=True):
                    given = bench.input("q75", count)
                    out = bench.fresh("workspace" if name == "skinml" else "pixels.npy")
                    command = _command(name, out, given, f"s3://{bucket}/{count}", bench.size)
                    seconds.append(round(bench.run(command, store.environment()).seconds, 4))
                    record["psnr_db"] = round(check(out, given, bench.size), 2)
                last = [seconds[-1] for seconds in record["seconds"]]
                say(f"bucket {repetition + 1}/{bench.repetitions}: {name}, {last} s")
    return found


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


def _command(name: str, out: Path, given: Input, url: str, size: int) -> list[str]:
    if name == "skinml":
        return skinml_prepare(out, url, given.metadata, size)
    program = [sys.executable, "-m", "benchmarks.peers.reading_s3fs", "--bucket", url]
    paths = ["--images", str(given.images), "--metadata", str(given.metadata), "--out", str(out)]
    return [*program, *paths, "--size", str(size)]
