"""A bucket read through s3fs: a process per core, each fetching chunks of objects with `cat`, then scoring.

Decoding is skinml's own and the network runs as skinml runs it, so that what differs from `skinml score` is how
bytes come from the bucket.
"""

from __future__ import annotations

import functools
import multiprocessing
import os

import numpy as np
import s3fs
from numpy.typing import NDArray

from benchmarks.scoring.peers.common import BATCH, SIZE, as_rows, one_thread_session, parse
from skinml.images.decode import decode

CHUNK = 128
"""Objects fetched at a time: s3fs has them in flight together."""


load_session = functools.cache(one_thread_session)
"""The network, once a process."""


def score(task: tuple[list[str], str]) -> NDArray[np.float32]:
    """The probabilities of one chunk of objects, float32 (n, 7)."""
    keys, network = task
    session = load_session(network)
    found = s3fs.S3FileSystem(use_listings_cache=False).cat(keys)
    pixels = np.stack([decode(found[key], SIZE, "fast").pixels for key in keys]).astype(np.float32)
    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    return np.concatenate([session.run(["probabilities"], {"pixels": batch})[0] for batch in batches])


if __name__ == "__main__":
    job = parse(__doc__)
    keys = sorted(s3fs.S3FileSystem(use_listings_cache=False).find(job.images.removeprefix("s3://")))
    network = str(job.options.bundle / "model.onnx")
    chunks = [(keys[start : start + CHUNK], network) for start in range(0, len(keys), CHUNK)]
    # s3fs is not fork-safe: spawn.
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        probabilities = np.concatenate(list(pool.imap(score, chunks)))
    as_rows(keys, probabilities).to_parquet(job.out)
