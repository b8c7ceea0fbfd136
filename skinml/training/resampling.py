"""Draw samples with or without replacement. The result is indices, never pixels.

Three draws: the thesis's resampling and its split, both by scikit-learn, and the draw of an epoch. The last is
our own: scikit-learn's `resample` draws n of n images one by one and leaves 37 % of them out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES, NAMES

Positions = NDArray[np.int64]
"""Row numbers, shape (k,), each from 0 to n - 1 of the n samples they refer to."""


def thesis_resample(labels: NDArray[np.int64], per_class: int = 500, seed: int = 42) -> Positions:
    """The thesis's resampling: `per_class` samples of each class, drawn with replacement.

    Equal, row for row, to `pd.concat([resample(df[df.label == c], replace=True, n_samples=per_class,
    random_state=seed) for c in range(7)])`, which is what the thesis script does. Every class is drawn with
    a fresh generator of the same seed, as there.

    Args:
        labels: class numbers, shape (n,), 0 to 6.
        per_class: samples drawn of each class.
        seed: `random_state` of each class's draw.

    Returns:
        Positions into `labels`, shape (7 * per_class,), class 0 first.

    Raises:
        RequestError: a class has no sample.

    """
    from sklearn.utils import resample  # here, because the base install has no scikit-learn

    drawn = [
        resample(members, replace=True, n_samples=per_class, random_state=seed)
        for members in _members_of_each_class(labels)
    ]
    return np.concatenate(drawn).astype(np.int64)


def thesis_split(count: int, test_size: float = 0.25, seed: int = 42) -> tuple[Positions, Positions]:
    """The thesis's split of `count` rows: positions of the training rows and of the test rows.

    Equal to `train_test_split(x, y, test_size=test_size, random_state=seed)` of scikit-learn: shuffled,
    not stratified, with the number of test rows rounded up.
    """
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(np.arange(count), test_size=test_size, random_state=seed)
    return train.astype(np.int64), test.astype(np.int64)


def balanced_draw(labels: NDArray[np.int64], count: int, generator: np.random.Generator) -> Positions:
    """A class-balanced draw for one epoch, shuffled.

    Each class gets `count // 7` places; the remainder goes to classes drawn at random, at most one each.
    Within a class every member is drawn once before any is drawn twice, so that a large class shows as
    many different images as its places allow, and a small one shows all of its images equally often.

    Args:
        labels: class numbers, shape (n,), 0 to 6.
        count: how many positions to draw, 0 or more.
        generator: source of randomness; the same state gives the same draw.

    Returns:
        Positions into `labels`, shape (count,), shuffled.

    Raises:
        RequestError: a class has no sample.

    """
    members = _members_of_each_class(labels)
    places, remainder = divmod(count, len(members))
    extra = set(generator.choice(len(members), size=remainder, replace=False).tolist())
    drawn = [
        _shuffle_passes(of_class, places + (number in extra), generator)
        for number, of_class in enumerate(members)
    ]
    return generator.permutation(np.concatenate(drawn))


def weighted_draw(
    labels: NDArray[np.int64], count: int, power: float, generator: np.random.Generator
) -> Positions:
    """A draw for one epoch in which an image's weight is (images of its class)^-power, shuffled.

    Within a class every member is drawn once before any is drawn twice, as in `balanced_draw`.

    Args:
        labels: class numbers, shape (n,), 0 to 6.
        count: how many positions to draw, 0 or more.
        power: 0: classes as common as in `labels`; 1: `balanced_draw`.
        generator: source of randomness; the same state gives the same draw.

    Returns:
        Positions into `labels`, shape (count,), shuffled.

    Raises:
        RequestError: a class has no sample.

    """
    if power == 1:
        return balanced_draw(labels, count, generator)
    members = _members_of_each_class(labels)
    wanted = count * drawn_shares(labels, power)
    places = np.floor(wanted).astype(np.int64)
    largest_rest = np.argsort(places - wanted, kind="stable")[: count - places.sum()]
    places[largest_rest] += 1
    drawn = [
        _shuffle_passes(of_class, number, generator)
        for of_class, number in zip(members, places.tolist(), strict=True)
    ]
    return generator.permutation(np.concatenate(drawn))


def drawn_shares(labels: NDArray[np.int64], power: float) -> NDArray[np.float64]:
    """The share of each class in `weighted_draw`, proportional to its count^(1 - power).

    Args:
        labels: class numbers, shape (n,), 0 to 6, n at least 1.
        power: as there.

    Returns:
        Shape (7,), their sum is 1; 0 for a class without a sample.

    """
    counts = np.bincount(labels, minlength=len(DIAGNOSES)).astype(np.float64)
    shares = np.where(counts > 0, np.maximum(counts, 1) ** (1 - power), 0)
    return np.asarray(shares / shares.sum())


def _shuffle_passes(members: Positions, count: int, generator: np.random.Generator) -> Positions:
    """`count` members: whole shuffled passes over all of them, the last one cut short."""
    passes = -(-count // len(members))  # rounded up
    rounds = [generator.permutation(members) for _ in range(passes)]
    return np.concatenate([np.empty(0, dtype=np.int64), *rounds])[:count]


def _members_of_each_class(labels: NDArray[np.int64]) -> list[Positions]:
    """Positions of each class's samples, class 0 first. A class without any is a RequestError."""
    members = [np.flatnonzero(labels == number) for number in range(len(DIAGNOSES))]
    for name, of_class in zip(DIAGNOSES, members, strict=True):
        if len(of_class) == 0:
            raise RequestError(
                f"no sample of {name} ({NAMES[name]}) to draw from: all seven diagnoses are needed;"
                f" prepare images of {name} lesions"
            )
    return members
