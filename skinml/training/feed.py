"""Feed batches to a trainer in their order, and measure how long it waits for them.

Augmentation takes a processor about as long as a GPU takes for ten images, so worker processes make augmented
batches ahead. Without augmentation the trainer gathers its pixels itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

from skinml.compute.cores import cores
from skinml.training.batch import Batch, Source, make_batch
from skinml.training.feed_worker import Task
from skinml.training.feed_workers import Workers
from skinml.training.pixels import Pages, Pixels

MOST_WORKERS = 16


def workers_for(source: Source) -> int:
    """How many processes should make batches: none if making one takes no time, else all cores but one."""
    return min(MOST_WORKERS, max(1, cores() - 1)) if source.settings.augments else 0


class BatchOrder:
    """The order of the batches of each epoch, which `Source.order` has drawn. It has state: a class.

    Keras's `fit` shuffles the batches of a data set once more, by Python's generator, whose state depends on
    the network that was built before. The recorded results of the thesis protocol were made so, and the same
    seed must still give the same weights; so this does the same.
    """

    def __init__(self, source: Source) -> None:
        """Take over the state of Python's generator: the network must have been built just before."""
        self._source = source
        self._generator = random.Random()  # noqa: S311 - no secret
        self._generator.setstate(random.getstate())
        self._drawn = 0

    def epochs(self, first: int, last: int) -> Iterator[list[Task]]:
        """The batches of each of these epochs, counted from 1, as tasks without a slot."""
        while self._drawn < last:
            numbers = list(range(self._source.count))
            self._generator.shuffle(numbers)  # also for epochs that another process has fitted
            self._drawn += 1
            if self._drawn >= first:
                positions = self._source.order(self._drawn)
                yield [Task(self._drawn, number, positions[number], -1) for number in numbers]


class Feed:
    """The batches of one epoch after another. It has state: a class.

    Attributes:
        source: what they are made of.
        waited: seconds that the trainer has waited for batches so far.

    """

    def __init__(
        self,
        source: Source,
        shards: Sequence[Pixels],
        epochs: Iterator[list[Task]],
        workers: int = 0,
        say: Callable[[str], None] = lambda _: None,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start the workers.

        Args:
            source: what batches are made of.
            shards: all pixels; memory maps of files if there are workers.
            epochs: the batches of each epoch (`BatchOrder.epochs`).
            workers: processes that make batches ahead; 0: they are made when they are asked for.
            say: called with what a person should know, such as a worker's death.
            is_busy: whether the trainer's device has enough to do, so that it does not wait.

        """
        self.source = source
        self.waited = 0.0
        self._is_busy = is_busy
        self._shards = shards
        self._pages = Pages(shards)
        self._epochs = epochs
        self._next = next(self._epochs, [])
        self._workers = Workers(source, shards, workers, self._make, say) if workers and self._next else None

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch."""
        tasks, self._next = self._next, []
        if self._workers is not None:
            self._next = next(self._epochs, [])
            made = self._workers.batches(tasks, self._next)
        else:
            made = map(self._make, tasks)
        for _ in tasks:
            asked = time.perf_counter()
            batch = next(made)
            if not self._is_busy():
                self.waited += time.perf_counter() - asked
            yield batch
        if self._workers is None:
            self._next = next(self._epochs, [])

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()

    def _make(self, task: Task) -> Batch:
        batch = make_batch(self.source, self._shards, task.positions, task.epoch, task.number)
        self._pages.count(batch.pixels.nbytes)
        return batch
