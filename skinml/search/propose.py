"""Propose the next trial: AutoKeras's greedy search, as a function of seed, number and results alone.

AutoKeras's `GreedyOracle` takes the best trial so far and draws one branch of its hyperparameters anew (all of
them, those of the convolutions, or a single one), a small branch more often than a large one. Here the same is
done with a generator of its own for each trial, so that a search which was killed continues as it would
have gone on. keras-tuner's other oracles do not fit: the Bayesian one draws at random until it has three trials
for each hyperparameter, which are more than 25; and most random points have a learning rate with which nothing
is learnt in 25 epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from skinml.search.space import INITIAL, Value, Values, has, make_space

if TYPE_CHECKING:
    import keras_tuner

MOST_DRAWS = 500
"""Draws for one proposal, from the best trial and again from nowhere, before the space counts as exhausted."""


def propose(
    number: int,
    seed: int,
    scores: Mapping[int, tuple[Values, float]],
    before: Mapping[int, Values],
    acceptable: Callable[[Values], bool],
) -> Values | None:
    """The values of a trial.

    Args:
        number: of the trial, from 1.
        seed: of the search.
        scores: values and score of the trials that may be known: a higher score is better.
        before: values of all trials with a lower number; none is proposed again.
        acceptable: whether a network may be tried.

    Returns:
        A point of the space; None if no other acceptable one was found.

    """
    tried = {_key(values) for values in before.values()}

    def is_new(values: Values) -> bool:
        return _key(values) not in tried and acceptable(values)

    if number == 1 and is_new(INITIAL):
        return INITIAL
    space = make_space()
    generator = np.random.default_rng([seed, number])
    best = max(sorted(scores), key=lambda one: scores[one][1], default=None)
    start = INITIAL if best is None else scores[best][0]
    branches = _branches(start)
    weights = np.array([1 / len(names) for names in branches.values()])
    chances = weights / weights.sum()
    for _ in range(MOST_DRAWS):
        chosen = list(branches.values())[generator.choice(len(branches), p=chances)]
        values = _draw(space, {name: value for name, value in start.items() if name not in chosen}, generator)
        if is_new(values):
            return values
    for _ in range(MOST_DRAWS):  # nothing near the best one is left
        values = _draw(space, {}, generator)
        if is_new(values):
            return values
    return None


def _branches(values: Values) -> dict[str, frozenset[str]]:
    """Every branch of the tree of names, by its path, and the names on it: a/b has the branches "", a, a/b."""
    found: dict[str, set[str]] = {}
    for name in values:
        parts = name.split("/")
        for end in range(len(parts) + 1):
            found.setdefault("/".join(parts[:end]), set()).add(name)
    return {path: frozenset(names) for path, names in found.items()}


def _draw(space: keras_tuner.HyperParameters, kept: Values, generator: np.random.Generator) -> Values:
    """A point of the space with the values kept that it has, and all others drawn."""
    values: dict[str, Value] = {}
    space.values = (
        values  # by which keras-tuner knows what is active; whatever a value depends on comes before it
    )
    for one in space.space:
        if space.is_active(one) and has(values, one.name):
            drawn = one.random_sample(int(generator.integers(2**31)))
            values[one.name] = kept.get(one.name, drawn)
    return values


def _key(values: Values) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(values.items()))
