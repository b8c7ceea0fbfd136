"""Tests of skinml/search/propose.py: proposals follow from seed and results, and are new and small enough."""

from __future__ import annotations

from skinml.models.searched_structure import cost
from skinml.search.propose import propose
from skinml.search.space import INITIAL, Values, structure_of


def _any(_: Values) -> bool:
    return True


def _sequence(seed: int, count: int, limit: int = 10**9) -> dict[int, Values]:
    proposed: dict[int, Values] = {}
    for number in range(1, count + 1):
        scores = {one: (values, one / 100) for one, values in proposed.items() if one <= number - 2}
        values = propose(
            number,
            seed,
            scores,
            proposed,
            lambda one: cost(structure_of(one)).multiply_adds <= limit,
        )
        assert values is not None
        proposed[number] = values
    return proposed


def test_the_same_seed_and_results_give_the_same_proposals() -> None:
    first = _sequence(7, 12)
    assert _sequence(7, 12) == first
    assert _sequence(8, 12) != first
    assert first[1] == INITIAL, "what AutoKeras tries first"


def test_no_network_is_proposed_twice_and_none_is_too_large() -> None:
    limit = 3_000_000
    proposed = list(_sequence(7, 20, limit).values())
    assert all(one != other for number, one in enumerate(proposed) for other in proposed[:number])
    assert all(cost(structure_of(one)).multiply_adds <= limit for one in proposed)


def test_most_of_the_best_trial_is_kept() -> None:
    best: Values = {**INITIAL, "learning_rate": 0.01, "convolution/kernel": 7, "head/dense": 32}
    scores = {1: (INITIAL, 0.2), 2: (best, 0.5), 3: ({**INITIAL, "head/dense": 32}, 0.4)}
    near = 0
    for number in range(10, 30):
        values = propose(number, 1, scores, {}, _any)
        assert values is not None
        changed = [name for name in best if values.get(name) != best[name]]
        near += len(changed) <= 3
    assert near >= 10


def test_a_space_without_a_new_network_is_exhausted() -> None:
    assert propose(2, 1, {}, {}, lambda _: False) is None
