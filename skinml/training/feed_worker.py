"""`python -m skinml.training.feed_worker`: make batches for a trainer, in a process of its own.

It reads what to make from standard input, writes the batches into a ring (`training.ring`), and says on
standard output which slot is ready. It ends when its input ends: when the trainer closes it, or is gone.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from skinml.training.batch import Source, make_batch
from skinml.training.pixels import Pages
from skinml.training.resampling import Positions
from skinml.training.ring import Layout, Ring

READY = -1
"""What a worker says once it has opened the ring."""


@dataclass(frozen=True, eq=False)
class Setup:
    """What a worker must know before its first batch.

    Attributes:
        source: what batches are made of.
        shards: path and rows of each shard on this machine.
        ring: path of the ring's file.
        layout: of the ring.

    """

    source: Source
    shards: tuple[tuple[str, int], ...]
    ring: str
    layout: Layout


@dataclass(frozen=True, eq=False)
class Task:
    """One batch to make: its epoch, its number in it, the positions of its images, and where to put it."""

    epoch: int
    number: int
    positions: Positions
    slot: int


def main() -> int:
    """Make batches until the input ends. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the trainer, and the trainer ends this one
    answers = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # what libraries print is no answer
    asked = Connection(os.dup(0), writable=False)
    try:
        serve(asked, answers)
    except (EOFError, BrokenPipeError):  # the trainer has ended
        return 0
    return 0


def serve(asked: Connection, answers: Connection) -> None:
    """Make batches until the trainer is gone, which is an EOFError or a BrokenPipeError."""
    setup: Setup = asked.recv()
    ring = Ring(setup.ring, setup.layout)
    shards = [np.load(path, mmap_mode="r", allow_pickle=False)[:rows] for path, rows in setup.shards]
    pages = Pages(shards)
    answers.send(READY)
    while True:
        task: Task = asked.recv()
        batch = make_batch(setup.source, shards, task.positions, task.epoch, task.number)
        ring.put(task.slot, batch)
        pages.count(batch.pixels.nbytes)
        answers.send(task.slot)


if __name__ == "__main__":
    sys.exit(main())
