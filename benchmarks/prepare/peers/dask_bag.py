"""dask.bag and Pillow: paths in partitions, on the multiprocessing scheduler that bags use by themselves."""

from __future__ import annotations

import functools

import dask.bag
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.prepare.peers.common import parse


def load(path: str, size: int) -> NDArray[np.uint8]:
    """One image's pixels."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size)))


if __name__ == "__main__":
    job = parse(__doc__)
    bag = dask.bag.from_sequence(job.files(), npartitions=32)
    images = bag.map(functools.partial(load, size=job.options.size)).compute()
    np.save(job.out, np.stack(images))
