"""The same job with a full decode: a process per core, libjpeg-turbo at full size, Pillow's resize."""

from __future__ import annotations

import functools
import multiprocessing
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from benchmarks.prepare.peers.common import parse


def load(path: str, size: int) -> NDArray[np.uint8]:
    """One image's pixels."""
    full = simplejpeg.decode_jpeg(Path(path).read_bytes(), "RGB")
    return np.asarray(Image.fromarray(full).resize((size, size)))


if __name__ == "__main__":
    job = parse(__doc__)
    files, size = job.files(), job.options.size
    pixels = open_memmap(job.out, "w+", np.uint8, (len(files), size, size, 3))
    with multiprocessing.Pool() as pool:
        for row, image in enumerate(pool.imap(functools.partial(load, size=size), files, chunksize=4)):
            pixels[row] = image
    pixels.flush()
