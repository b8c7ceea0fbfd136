"""Make the batches of an epoch: gather pixels, augment them, and their targets and weights. Loads no Keras.

A batch is a function of the source, the epoch and its number, so any process may make it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skinml.training.augment import augment
from skinml.training.losses import make_class_weights, make_targets
from skinml.training.pixels import Pixels, epoch_order, gather
from skinml.training.resampling import Positions, drawn_shares
from skinml.training.settings import Settings


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Batch:
    """What one step is fitted on.

    Attributes:
        pixels: uint8 (b, size, size, 3).
        targets: float32 (b, 7).
        weights: of the images in the loss, float32 (b,); None: all are 1.

    """

    pixels: Pixels
    targets: NDArray[np.float32]
    weights: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Source:
    """What batches are made of.

    Attributes:
        labels: class numbers of all positions, shape (n,), int64; -1 if no sample lies there.
        train: positions to draw from, shape (k,), int64. Repeats count.
        targets: of all positions, float32 (n, 7).
        class_weights: in the loss, float32 (7,); None: all are 1.
        settings: sampling and augmentation.
        batch_size: images a batch; the last one of an epoch may have fewer.
        seed: of order and augmentation.

    """

    labels: NDArray[np.int64]
    train: Positions
    targets: NDArray[np.float32]
    class_weights: NDArray[np.float32] | None
    settings: Settings
    batch_size: int
    seed: int

    @property
    def count(self) -> int:
        """Batches an epoch."""
        return math.ceil(len(self.train) / self.batch_size)

    def order(self, epoch: int) -> list[Positions]:
        """The positions of each batch of an epoch."""
        drawn = epoch_order(self.labels, self.train, self.settings.sampling, self.seed, epoch)
        return [drawn[start : start + self.batch_size] for start in range(0, len(drawn), self.batch_size)]


def make_source(
    labels: NDArray[np.int64], train: Positions, settings: Settings, batch_size: int, seed: int
) -> Source:
    """The source of a fit on these labels.

    Raises:
        RequestError: a class has no sample, and the settings draw or weight by class.

    """
    return Source(
        labels=labels,
        train=train,
        targets=make_targets(labels, settings.label_smoothing),
        class_weights=make_class_weights(
            drawn_shares(labels[train], settings.sampling), settings.class_weights
        ),
        settings=settings,
        batch_size=batch_size,
        seed=seed,
    )


def make_batch(
    source: Source, shards: Sequence[Pixels], positions: Positions, epoch: int, number: int
) -> Batch:
    """One batch.

    Args:
        source: what it is made of.
        shards: all pixels.
        positions: of the batch, from `source.order(epoch)[number]`.
        epoch: counted from 1.
        number: of the batch in its epoch.

    """
    pixels, targets = gather(shards, positions), source.targets[positions]
    if source.settings.augments:
        generator = np.random.default_rng([source.seed, epoch, number])
        pixels, targets = augment(pixels, targets, source.settings, generator)
    weights = None if source.class_weights is None else targets @ source.class_weights
    return Batch(pixels, targets, weights)
