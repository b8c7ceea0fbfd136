"""The images of a search: so many of each class from training lesions, and others from validation lesions.

Test lesions are not among them. All images go into one file, which every trial reads.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.labels import DIAGNOSES
from skinml.storage.objects import read_bytes
from skinml.training.protocols import Recipe, grouped
from skinml.training.resampling import Positions, balanced_draw


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Draw:
    """The images of a search.

    Attributes:
        train: positions that trials are fitted on, shape (7 * per_class,). Of a class with fewer images each
            is there once before any is there twice.
        validation: positions that they are measured on, each once.
        repeated: images of a class, by its name, if they are fewer than asked for.
    """

    train: Positions
    validation: Positions
    repeated: dict[str, int]


def draw_images(samples: pd.DataFrame, labels: NDArray[np.int64], per_class: int, seed: int) -> Draw:
    """Draw the images of a search: a function of its arguments alone.

    Args:
        samples: rows of `samples` with their `position`.
        labels: class number at each position.
        per_class: images of each class to fit on; of validation lesions at most as many.
        seed: of the draw.

    Raises:
        RequestError: a diagnosis has no lesion to train on, or no lesion is for validation or test.

    """
    recipe: Recipe = grouped(samples)
    generator = np.random.default_rng(seed)
    chosen = balanced_draw(labels[recipe.train], per_class * len(DIAGNOSES), generator)
    counts = np.bincount(labels[recipe.train], minlength=len(DIAGNOSES))
    validation = [
        generator.permutation(recipe.validation[labels[recipe.validation] == number])[:per_class]
        for number in range(len(DIAGNOSES))
    ]
    return Draw(
        train=recipe.train[chosen],
        validation=np.sort(np.concatenate(validation)),
        repeated={name: int(n) for name, n in zip(DIAGNOSES, counts, strict=True) if n < per_class},
    )


@dataclass(frozen=True, eq=False)
class Images:
    """What a trial reads.

    Attributes:
        train, validation: pixels, uint8 (n, 32, 32, 3).
        train_labels, validation_labels: class numbers, int64 (n,).
    """

    train: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    validation: NDArray[np.uint8]
    validation_labels: NDArray[np.int64]

    @property
    def colours(self) -> tuple[float, ...]:
        """Mean and standard deviation of red, green and blue of the training images, 0 to 1, four digits."""
        values = self.train.reshape(-1, 3) / 255
        found = [*values.mean(axis=0).tolist(), *values.std(axis=0).clip(0.001, 1).tolist()]
        return tuple(round(one, 4) for one in found)


ARRAYS = ("train", "train_labels", "validation", "validation_labels")


def pack_images(images: Images) -> bytes:
    """All arrays as one file; the same images give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: getattr(images, name) for name in ARRAYS})
    return buffer.getvalue()


def read_images(url: str, sha256: str) -> Images:
    """Read what `pack_images` made.

    Raises:
        RunError: the file is another one.
        StorageError: it is not there.

    """
    data = read_bytes(url)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RunError(f"{url}: these are not the images that this search drew; run search again")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Images(**{name: arrays[name] for name in ARRAYS})
