"""A bucket read through s3fs: a process per core, each fetching chunks of objects with `cat`, then decoding.

Decoding is skinml's own, so that what differs from `skinml prepare` is how bytes come from the bucket.
"""

from __future__ import annotations

import multiprocessing
import os

import numpy as np
import s3fs
from numpy.typing import NDArray

from benchmarks.prepare.peers.common import parse
from skinml.images.decode import decode

CHUNK = 128
"""Objects fetched at a time: s3fs has them in flight together."""


def load(task: tuple[list[str], int]) -> NDArray[np.uint8]:
    """The pixels of one chunk of objects."""
    keys, size = task
    found = s3fs.S3FileSystem(use_listings_cache=False).cat(keys)
    return np.stack([decode(found[key], size, "fast").pixels for key in keys])


if __name__ == "__main__":
    job = parse(__doc__)
    keys = sorted(s3fs.S3FileSystem(use_listings_cache=False).find(job.images.removeprefix("s3://")))
    chunks = [(keys[start : start + CHUNK], job.options.size) for start in range(0, len(keys), CHUNK)]
    # s3fs is not fork-safe: spawn.
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        np.save(job.out, np.concatenate(list(pool.imap(load, chunks))))
