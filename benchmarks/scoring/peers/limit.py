"""The limit: a process per core that decodes JPEGs scaled and runs the network on them, nothing else.

It lists nothing but names, resizes nothing (the network gets the corner of the scaled picture), looks at no
etag, checks nothing and writes nothing but the sum of all probabilities, which is the number of images: no
program that decodes these JPEGs with libjpeg-turbo and runs this network with onnxruntime can be faster,
however little else it does. From a bucket it reads through obstore, 64 objects in flight.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import obstore
import simplejpeg
from obstore.store import S3Store

from benchmarks.scoring.peers.common import BATCH, SIZE, one_thread_session, parse

IN_FLIGHT = 64
"""Objects that are being read, of all processes together."""

AT_ONCE = 8
"""Objects that a thread reads one after the other: handing over each of them costs more than it gains."""

AHEAD = 2
"""Handfuls that wait for each thread, at most."""


def score(task: tuple[list[str], str, str, int]) -> float:
    """Decode and predict these images; the sum of their probabilities."""
    names, images, network, threads = task
    session = one_thread_session(network)
    data = fetch(names, images, threads) if images.startswith("s3://") else read(names)
    total, batch = 0.0, []
    for one in data:
        scaled = simplejpeg.decode_jpeg(one, "RGB", min_height=2 * SIZE, min_width=2 * SIZE)
        batch.append(scaled[:SIZE, :SIZE])
        if len(batch) == BATCH:
            total += session.run(["probabilities"], {"pixels": np.stack(batch).astype(np.float32)})[0].sum()
            batch = []
    if batch:
        total += session.run(["probabilities"], {"pixels": np.stack(batch).astype(np.float32)})[0].sum()
    return float(total)


def read(names: list[str]) -> Iterator[bytes]:
    """Files, one after the other."""
    for name in names:
        yield Path(name).read_bytes()


def fetch(names: list[str], url: str, threads: int) -> Iterator[bytes]:
    """Objects in order, so many threads ahead."""
    store = bucket(url)

    def get(handful: list[str]) -> list[bytes]:
        return [bytes(obstore.get(store, name).bytes()) for name in handful]

    handfuls = [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]
    waiting: deque[Future[list[bytes]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for handful in handfuls:
            if len(waiting) == AHEAD * threads:
                yield from waiting.popleft().result()
            waiting.append(pool.submit(get, handful))
        while waiting:
            yield from waiting.popleft().result()


def bucket(url: str) -> S3Store:
    """A connection to the bucket of s3://bucket/prefix; keys and endpoint are in the environment."""
    return S3Store(url[5:].partition("/")[0], client_options={"allow_http": True})


def list_names(images: str) -> list[str]:
    """Names of files, or keys of objects."""
    if not images.startswith("s3://"):
        return sorted(entry.path for entry in os.scandir(images))
    pages = obstore.list(bucket(images), images[5:].partition("/")[2] or None, return_arrow=True)
    return [key for page in pages for key in page["path"].to_pylist()]


if __name__ == "__main__":
    job = parse(__doc__, "network")
    names = list_names(job.images)
    cores = os.cpu_count() or 1
    network = str(job.options.bundle / (job.options.network or "model.onnx"))
    # obstore is not fork-safe: spawn, as everybody must who reads a bucket.
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        tasks = [(names[start::cores], job.images, network, IN_FLIGHT // cores) for start in range(cores)]
        sums = pool.map(score, tasks, chunksize=1)
    job.out.write_text(f"{sum(sums):.3f}", encoding="ascii")
