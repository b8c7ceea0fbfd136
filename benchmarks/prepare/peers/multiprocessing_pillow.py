"""multiprocessing and Pillow: a process per core; with --draft yes libjpeg scales while it decodes."""

from __future__ import annotations

import functools
import multiprocessing

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from benchmarks.prepare.peers.common import parse


def load(path: str, size: int, draft: bool) -> NDArray[np.uint8]:
    """One image's pixels."""
    with Image.open(path) as image:
        if draft:
            image.draft("RGB", (2 * size, 2 * size))  # at least this large: resizing stays well-behaved
        return np.asarray(image.convert("RGB").resize((size, size)))


if __name__ == "__main__":
    job = parse(__doc__, "draft")
    files = job.files()
    pixels = open_memmap(job.out, "w+", np.uint8, (len(files), job.options.size, job.options.size, 3))
    with multiprocessing.Pool() as pool:
        one = functools.partial(load, size=job.options.size, draft=job.options.draft == "yes")
        for row, image in enumerate(pool.imap(one, files, chunksize=32)):
            pixels[row] = image
    pixels.flush()
