"""How often intervals hold the truth: 500 made-up test sets, each judged with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage.inputs import LESIONS, TestSet, draw_test_set
from benchmarks.harness.bench import Bench, Result, say
from skinml.evaluation.bootstrap import percentile_interval
from skinml.evaluation.intervals import measure_with_intervals
from skinml.evaluation.metrics import measure as measure_metrics
from skinml.evaluation.weighted import Name, figures, gather

TEST_LESIONS = 1_120
"""15 % of HAM10000's 7,470."""

POPULATION = 150_000
"""Lesions in each of POPULATIONS draws that the truth is the mean of."""

POPULATIONS = 4
TEST_SETS = 500
SEED = 2018

Outcome = tuple[float, bool, bool | None]
"""The error of a figure, whether its interval holds the truth, and whether that drawn within classes does."""


def measure(bench: Bench) -> Result:
    """Draw 500 test sets and count; a trial draws fewer."""
    sets, resamples = bench.count(TEST_SETS), bench.options.resamples
    return {
        "lesions": TEST_LESIONS,
        "test_sets": sets,
        "resamples": resamples,
        "figures": coverage(sets, resamples, POPULATION, POPULATIONS, bench.options.workers),
    }


def coverage(test_sets: int, resamples: int, population: int, populations: int, workers: int) -> Result:
    """For each figure its true value, the bias of its estimate, and the share of intervals that hold the truth.

    Args:
        test_sets: how many are drawn; lesions are drawn from all classes, so their counts vary.
        resamples: of each.
        population: lesions of one draw of the population.
        populations: such draws; the truth is their mean.
        workers: processes; their number does not change the result.

    Returns:
        By name of the figure truth, bias, covered (our intervals) and covered_within_classes (percentiles with
        lesions drawn within their class; None for figures of a ranking). Names are joined by a dot.

    """
    generator = np.random.default_rng(SEED)
    truths = [_values(draw_test_set(population, True, generator)) for _ in range(populations)]
    truth = {name: float(np.mean([one[name] for one in truths])) for name in truths[0]}
    jobs = [(truth, number, resamples) for number in range(test_sets)]
    outcomes: dict[Name, list[Outcome]] = {name: [] for name in truth}
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for number, found in enumerate(pool.map(_one_set, jobs, chunksize=5)):
            for name, outcome in found.items():
                outcomes[name].append(outcome)
            if number % 50 == 49:
                say(f"{number + 1} test sets")
    return {".".join(name): {"truth": truth[name], **_summary(found)} for name, found in outcomes.items()}


def _one_set(job: tuple[dict[Name, float], int, int]) -> dict[Name, Outcome]:
    """Draw and judge one test set: the outcome of each figure that is defined."""
    truth, number, resamples = job
    drawn = draw_test_set(TEST_LESIONS, False, np.random.default_rng([SEED, number]))
    metrics, intervals = measure_with_intervals(
        drawn.labels, drawn.lesions, drawn.probabilities, seed=number, resamples=resamples
    )
    found, ours = _flat(metrics), _flat(intervals)
    others = within_classes(drawn, number, resamples)
    return {
        name: (found[name] - true, _holds(ours[name], true) is True, _holds(others.get(name), true))
        for name, true in truth.items()
        if found[name] is not None and ours[name] is not None
    }


def _holds(interval: Sequence[float] | None, truth: float) -> bool | None:
    return None if interval is None else bool(interval[0] <= truth <= interval[1])


def _summary(outcomes: list[Outcome]) -> Result:
    within = [inside for _, _, inside in outcomes if inside is not None]
    return {
        "bias": float(np.mean([error for error, _, _ in outcomes])),
        "covered": float(np.mean([inside for _, inside, _ in outcomes])),
        "covered_within_classes": float(np.mean(within)) if within else None,
    }


def within_classes(drawn: TestSet, seed: int, resamples: int) -> dict[Name, tuple[float, float] | None]:
    """Percentile intervals from lesions that are drawn within their class, as many as it has."""
    predictions = gather(drawn.labels, drawn.probabilities, drawn.lesions)
    first = np.unique(drawn.lesions, return_index=True)[1]
    pieces = [figures(predictions, weights, ()) for weights in _draws(drawn.labels[first], seed, resamples)]
    return {name: percentile_interval(np.concatenate([piece[name] for piece in pieces])) for name in pieces[0]}


def _draws(classes: NDArray[np.int64], seed: int, resamples: int) -> Iterator[NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(classes == number) for number in np.unique(classes)]
    for start in range(0, resamples, 500):
        weights = np.zeros((len(classes), min(500, resamples - start)), np.float32)
        for lesions in members:
            drawn = generator.choice(lesions, (len(lesions), weights.shape[1]))
            np.add.at(weights, (drawn, np.arange(weights.shape[1])), 1)
        yield weights


def _values(drawn: TestSet) -> dict[Name, float]:
    found = _flat(measure_metrics(drawn.labels, drawn.probabilities))
    return {name: value for name, value in found.items() if isinstance(value, float)}


def _flat(nested: Result, above: Name = ()) -> dict[Name, Any]:
    """Every figure by its name."""
    found: dict[Name, Any] = {}
    for key, value in nested.items():
        found |= _flat(value, (*above, key)) if isinstance(value, dict) else {(*above, key): value}
    return found


def lesions_of(diagnosis: str) -> int:
    """How many lesions a test set has of a diagnosis, in the mean."""
    return round(TEST_LESIONS * sum(LESIONS[diagnosis]) / sum(map(sum, LESIONS.values())))
