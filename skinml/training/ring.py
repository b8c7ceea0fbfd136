"""A file in memory that passes batches from one process to another without a copy through a pipe.

A plain file, mapped by all: it is unlinked as soon as all have opened it, so nothing is left behind however
they end. Its blocks are reserved first: writing to a hole of a full memory file system would end the process by
SIGBUS.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES
from skinml.training.batch import Batch

MEMORY = Path("/dev/shm")  # noqa: S108 - a file of our own name, made exclusively
"""If it is there and has room; otherwise the folder for temporary files."""


@dataclass(frozen=True)
class Layout:
    """How many batches a ring holds, and of what.

    Attributes:
        slots: batches it holds.
        batch_size: most images a batch.
        size: edge of the images in px.

    """

    slots: int
    batch_size: int
    size: int

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return self.slots * self.batch_size * (self.size * self.size * 3 + 4 * (len(DIAGNOSES) + 1))


class Ring:
    """The slots of an open ring. It has state: a class."""

    def __init__(self, path: str, layout: Layout) -> None:
        """Map the file that `make_ring_file` has made."""
        count, edge = (layout.slots, layout.batch_size), layout.size
        memory = np.memmap(path, np.uint8, "r+", shape=(layout.size_bytes,))
        numbers = 4 * count[0] * count[1] * (len(DIAGNOSES) + 1)
        # Numbers first: they must lie at multiples of four bytes.
        self._numbers = memory[:numbers].view(np.float32).reshape(*count, len(DIAGNOSES) + 1)
        self._pixels = memory[numbers:].reshape(*count, edge, edge, 3)

    def put(self, slot: int, batch: Batch) -> None:
        """Write a batch into a slot."""
        count = len(batch.pixels)
        self._pixels[slot, :count] = batch.pixels
        self._numbers[slot, :count, :-1] = batch.targets
        if batch.weights is not None:
            self._numbers[slot, :count, -1] = batch.weights

    def take(self, slot: int, count: int, weighted: bool) -> Batch:
        """A copy of the batch of so many images in a slot, so that the slot can be used again."""
        numbers: NDArray[np.float32] = self._numbers[slot, :count]
        weights = np.array(numbers[:, -1]) if weighted else None
        return Batch(np.array(self._pixels[slot, :count]), np.array(numbers[:, :-1]), weights)


def make_ring_file(layout: Layout) -> str:
    """Make the file of a ring, and return its path. Whoever calls this removes it once all have opened it.

    Raises:
        OSError: there is no room for it.

    """
    for folder in (MEMORY, None):
        if folder is not None and not os.access(folder, os.W_OK):
            continue
        file, path = tempfile.mkstemp(prefix="skinml-batches-", dir=folder)
        try:
            if hasattr(os, "posix_fallocate"):  # macOS lacks it
                os.posix_fallocate(file, 0, layout.size_bytes)
            else:
                os.truncate(file, layout.size_bytes)
        except OSError:
            Path(path).unlink()
            if folder is None:
                raise
            continue
        finally:
            os.close(file)
        return path
    raise OSError("unreachable: the last folder is always tried")
