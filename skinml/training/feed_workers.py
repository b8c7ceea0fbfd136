"""Have worker processes make batches a few ahead, in order, and do without a worker that has died."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np

from skinml.training.batch import Batch, Source
from skinml.training.feed_worker import READY, Setup, Task
from skinml.training.pixels import Pixels
from skinml.training.ring import Layout, Ring, make_ring_file

AHEAD = 2
"""Batches that a worker is asked for at a time: when it has made one, the next task is there already."""

SPARE = 2
"""Slots beside those: batches that are ready, and that the trainer has not taken yet."""

SILENT_SECONDS = 120.0
"""A worker that has not made a batch by then is ended, and does not count any more. A batch takes up to 2 s."""

Make = Callable[[Task], Batch]
Say = Callable[[str], None]


@dataclass(eq=False)
class _Worker:
    """A process and the slots that it was asked to fill."""

    process: subprocess.Popen[bytes]
    ask: Connection
    answers: Connection
    slots: set[int]


class Workers:
    """Processes that make batches, and the ring in which they leave them. They hold state: a class."""

    def __init__(self, source: Source, shards: Sequence[Pixels], count: int, make: Make, say: Say) -> None:
        """Start them.

        Args:
            source: what batches are made of.
            shards: memory maps of whole files, as `np.load` gives them, or of their first rows.
            count: how many processes.
            make: makes a batch here, if a worker has died with it.
            say: called with what a person should know.

        """
        self._make, self._say = make, say
        self._weighted = source.class_weights is not None
        layout = Layout(count * AHEAD + SPARE, source.batch_size, shards[0].shape[1])
        self._free = deque(range(layout.slots))
        self._ready: set[int] = set()
        self._asked: deque[Task] = deque()
        path = make_ring_file(layout)
        try:
            self._ring = Ring(path, layout)
            setup = Setup(source, tuple((_path(shard), len(shard)) for shard in shards), path, layout)
            self._workers = [_start(setup) for _ in range(count)]
            for worker in list(self._workers):
                self._hear(worker)  # it has opened the ring, or died
        finally:
            Path(path).unlink()

    def batches(self, tasks: Sequence[Task], later: Sequence[Task]) -> Iterator[Batch]:
        """The batches of these tasks in their order; meanwhile the first of the later ones are begun.

        Call it next with those later ones: what is begun of them is not begun again.
        """
        begun = len(self._asked)
        ahead = deque([*tasks, *later][begun:])
        for _ in tasks:
            self._ask(ahead)
            task = self._asked.popleft() if self._asked else ahead.popleft()
            while task.slot >= 0 and task.slot not in self._ready and self._is_being_made(task.slot):
                self._listen()
            if task.slot in self._ready:
                self._ready.discard(task.slot)
                batch = self._ring.take(task.slot, len(task.positions), self._weighted)
            else:
                batch = self._make(task)
            if task.slot >= 0:
                self._free.append(task.slot)
            self._ask(ahead)
            yield batch

    def close(self) -> None:
        """End all of them."""
        for worker in self._workers:
            _end(worker)
        self._workers = []

    def _ask(self, ahead: deque[Task]) -> None:
        """Ask for as many batches as there are slots and workers that have less than enough to do."""
        while ahead and self._free and self._workers:
            worker = min(self._workers, key=lambda one: len(one.slots))
            if len(worker.slots) >= AHEAD:
                return
            task = replace(ahead[0], slot=self._free[0])
            try:
                worker.ask.send(task)
            except OSError:  # a broken pipe
                self._lose(worker)
                continue
            ahead.popleft()
            self._free.popleft()
            worker.slots.add(task.slot)
            self._asked.append(task)

    def _is_being_made(self, slot: int) -> bool:
        return any(slot in worker.slots for worker in self._workers)

    def _listen(self) -> None:
        """Wait until a worker says something or dies."""
        heard = wait([worker.answers for worker in self._workers], SILENT_SECONDS)
        for worker in list(self._workers):
            if worker.answers in heard:
                self._hear(worker)
            elif not heard and worker.slots:
                self._lose(worker)

    def _hear(self, worker: _Worker) -> None:
        """Take one answer of a worker; none means that it has died."""
        try:
            slot = worker.answers.recv() if worker.answers.poll(SILENT_SECONDS) else None
        except (EOFError, OSError):
            slot = None
        if slot is None:
            self._lose(worker)
        elif slot != READY:
            worker.slots.discard(slot)
            self._ready.add(slot)

    def _lose(self, worker: _Worker) -> None:
        """Do without a worker: what it was asked for is made here."""
        self._workers.remove(worker)
        _end(worker)
        code = worker.process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        rest = (
            f"{len(self._workers)} others go on" if self._workers else "the trainer makes them itself, slower"
        )
        self._say(f"a process that prepared training batches ended ({how}): {rest}")


def _path(shard: Pixels) -> str:
    """The file that a shard is a memory map of."""
    if not isinstance(shard, np.memmap) or shard.filename is None:
        raise TypeError("workers read shards from files: give memory maps")
    return str(shard.filename)


def _start(setup: Setup) -> _Worker:
    process = subprocess.Popen(
        [sys.executable, "-m", "skinml.training.feed_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # One thread each: there are as many of them as cores.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": _python_path()},
    )
    assert process.stdin is not None  # noqa: S101 - pipes were asked for
    assert process.stdout is not None  # noqa: S101
    ask = Connection(os.dup(process.stdin.fileno()), readable=False)
    answers = Connection(os.dup(process.stdout.fileno()), writable=False)
    process.stdin.close()
    process.stdout.close()
    with suppress(OSError):  # if it has died, its silence says so
        ask.send(setup)
    return _Worker(process, ask, answers, set())


def _python_path() -> str:
    """Where this process finds its modules, so that a worker finds the same ones."""
    return os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)


def _end(worker: _Worker) -> None:
    """Close its pipes, which ends it, or kill it if it does not end."""
    worker.ask.close()
    worker.answers.close()
    with suppress(subprocess.TimeoutExpired):
        worker.process.wait(0.2)
    worker.process.kill()
    worker.process.wait()
