"""Feed batches to a trainer in their order, and measure how long it waits for them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from skinml.training.batch import Batch, Source, make_batch
from skinml.training.pixels import Pixels
from skinml.training.resampling import Positions

Numbered = tuple[int, Positions]
"""A batch's number in its epoch's draw, and its positions."""


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

    def epoch(self, epoch: int) -> list[Numbered]:
        """The batches of an epoch, counted from 1. An epoch that was asked for before is not known any more."""
        numbers: list[int] = []
        while self._drawn < epoch:  # also for epochs that another process has fitted
            numbers = list(range(self._source.count))
            self._generator.shuffle(numbers)
            self._drawn += 1
        positions = self._source.order(epoch)
        return [(number, positions[number]) for number in numbers]


class Feed:
    """The batches of one epoch after another, made in this process. It has state: a class.

    Attributes:
        source: what they are made of.
        waited: seconds that the trainer has waited for batches so far.

    """

    def __init__(self, source: Source, shards: Sequence[Pixels], order: BatchOrder) -> None:
        self.source = source
        self.waited = 0.0
        self._shards = shards
        self._order = order

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1."""
        for number, positions in self._order.epoch(epoch):
            asked = time.perf_counter()
            batch = make_batch(self.source, self._shards, positions, epoch, number)
            self.waited += time.perf_counter() - asked
            yield batch

    def close(self) -> None:
        """Nothing is held."""
