"""Gather batches of pixels from memory-mapped shards, in a reproducible order.

Importing this module loads no Keras; `batches` does.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.images.preprocessing import Normalisation, network_input
from skinml.labels import DIAGNOSES
from skinml.training.resampling import Positions, weighted_draw

if TYPE_CHECKING:
    import keras

Pixels = NDArray[np.uint8]

RELEASED_AFTER = 2**20
"""Bytes gathered at random between two releases. Linux maps up to 2 MB around the 12 kB of an image that are
read: of 800 MB in 16 files, 770 were mapped after 32 MB and 130 after this, for 1.4 us more an image (10)."""


def gather(shards: Sequence[Pixels], positions: Positions) -> Pixels:
    """The rows at these positions of the shards' concatenation, in the order asked, repeats included.

    Args:
        shards: one or more arrays, each (n_i, H, W, 3) with the same H and W.
        positions: row numbers, shape (k,), each from 0 to the sum of n_i - 1.

    Returns:
        A new array, uint8 (k, H, W, 3).

    Raises:
        IndexError: a position lies outside; it is named.

    """
    ends = np.cumsum([len(shard) for shard in shards])
    outside = np.flatnonzero((positions < 0) | (positions >= ends[-1]))
    if len(outside):
        raise IndexError(f"position {positions[outside[0]]} is none of the {ends[-1]} rows in the shards")
    of_shard = np.searchsorted(ends, positions, side="right")
    rows = positions - np.concatenate([[0], ends])[of_shard]
    pixels = np.empty((len(positions), *shards[0].shape[1:]), dtype=np.uint8)
    for number in np.unique(of_shard):
        wanted = of_shard == number
        pixels[wanted] = shards[number][rows[wanted]]
    return pixels


class Pages:
    """Let go of pages of memory-mapped shards, now and then. It has a count: a class.

    Linux counts every page of a file that a process has read through a map as its memory, up to the whole data
    set, although it could take them back at any time. What counts memory (batch systems, containers, people) is
    told less than that: pages that were let go stay in the system's cache.
    """

    def __init__(self, shards: Sequence[Pixels]) -> None:
        """Of these shards; those that are not memory-mapped stay as they are."""
        self._maps = [found for shard in shards if (found := _map_of(shard)) is not None]
        self._bytes = 0

    def count(self, size_bytes: int) -> None:
        """Count what was gathered, and let go of all pages after every RELEASED_AFTER bytes."""
        self._bytes += size_bytes
        if self._bytes >= RELEASED_AFTER:
            self._bytes = 0
            for one in self._maps:
                if hasattr(mmap, "MADV_DONTNEED"):
                    one.madvise(mmap.MADV_DONTNEED)


def _map_of(shard: Pixels) -> mmap.mmap | None:
    """The memory map that an array is a view of, if it is one."""
    base: Any = shard
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    return base


def epoch_order(
    labels: NDArray[np.int64], train: Positions, sampling: float, seed: int, epoch: int
) -> Positions:
    """The positions one epoch is fitted on, in their order: a function of `seed` and `epoch` alone.

    Args:
        labels: class numbers of all positions, shape (n,).
        train: the positions to draw from, shape (k,).
        sampling: 0: all of `train`, shuffled; up to 1: `weighted_draw` of k with this power.
        seed: the fit's seed.
        epoch: number of the epoch.

    Returns:
        Positions, shape (k,).

    """
    generator = np.random.default_rng([seed, epoch])
    if sampling:
        return train[weighted_draw(labels[train], len(train), sampling, generator)]
    return generator.permutation(train)


def batches(
    shards: Sequence[Pixels],
    labels: NDArray[np.int64],
    positions: Positions,
    batch_size: int,
    normalisation: Normalisation = "raw",
) -> keras.utils.PyDataset:
    """One pass over `positions` in their order, as a Keras dataset.

    Each item is a batch of pixels as the network takes them, float32 (b, H, W, 3), raw values 0 to 255 unless
    `normalisation` says otherwise, and of one-hot labels, float32 (b, 7); the last batch may be smaller.
    Worker threads bring nothing here: gathering 16 images of 32 px out of 20 shards takes 0.3 ms, a step 50
    ms.
    """
    import keras

    pages = Pages(shards)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras is untyped
        def __len__(self) -> int:
            return math.ceil(len(positions) / batch_size)

        def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            chosen = positions[index * batch_size : (index + 1) * batch_size]
            one_hot = np.eye(len(DIAGNOSES), dtype=np.float32)[labels[chosen]]
            pixels = gather(shards, chosen)
            pages.count(pixels.nbytes)
            return network_input(pixels, normalisation), one_hot

    return Batches()
