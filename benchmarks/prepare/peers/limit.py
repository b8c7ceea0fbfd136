"""The limit: a process per core that reads files and decodes them scaled with libjpeg-turbo, nothing else.

It joins no metadata, resizes nothing and writes nothing but the number of images: no program that decodes
these JPEGs with this library can be faster, however little else it does.
"""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import simplejpeg

from benchmarks.prepare.peers.common import parse


def decode_all(task: tuple[list[str], int]) -> int:
    """Decode these files; how many they were."""
    files, size = task
    for file in files:
        simplejpeg.decode_jpeg(Path(file).read_bytes(), "RGB", min_height=2 * size, min_width=2 * size)
    return len(files)


if __name__ == "__main__":
    job = parse(__doc__)
    files, size = job.files(), job.options.size
    cores = os.cpu_count() or 1
    with multiprocessing.Pool(cores) as pool:
        done = pool.map(decode_all, [(files[start::cores], size) for start in range(cores)], chunksize=1)
    job.out.write_text(str(sum(done)), encoding="ascii")
