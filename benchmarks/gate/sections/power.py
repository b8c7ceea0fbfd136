"""How often the gate promotes a model that is better by a known gain, by number of test lesions."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.gate.inputs import Pool, draw_pair, frame_of, read_pool, true_gain, z_of_gain
from benchmarks.harness.bench import Bench, Result, say
from skinml.gate import Rules, judge_challenger
from skinml.gate.criteria import BETTER, NOT_ASSESSABLE, WORSE

LESIONS = (280, 560, 1_130, 2_250, 4_500)
"""Of the test set."""

GAINS = (0.02, 0.05, 0.08, 0.12, 0.20)
RETRAININGS = 50
"""Of each number of lesions and gain."""

SEED = 1947
RULES = Rules(resamples=4_000)
"""A fifth of the resamples that the gate takes. The bound is then closer by about 1 %."""

HOPELESS = 2.2
"""Gains of fewer standard errors are not judged: without a gain shown the champion is kept, whatever else."""


def measure(bench: Bench) -> Result:
    """Judge better models; a trial judges fewer."""
    pool = read_pool(bench.options.workspace or bench.cache / "thesis")
    return power(pool, LESIONS, GAINS, bench.count(RETRAININGS), RULES, bench.options.workers)


def power(
    pool: Pool,
    lesions: tuple[int, ...],
    gains: tuple[float, ...],
    retrainings: int,
    rules: Rules,
    workers: int,
) -> Result:
    """Of each number of test lesions and gain, what the gate decides.

    Returns:
        resamples, retrainings, and cells: {lesions, gain (true, in balanced accuracy), counts by decision and
        of the gain shown; and if it was shown, "FIGURE: not assessable" and "FIGURE: worse"}.

    """
    cells = []
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(pool, rules)) as run:
        for count in lesions:
            for gain in gains:
                jobs = [(count, gain, number) for number in range(retrainings)]
                counts: Counter[str] = Counter()
                for outcome in run.map(_one, jobs, chunksize=5):
                    counts.update(outcome)
                cells.append({"lesions": count, "gain": true_gain(pool, gain), "counts": dict(counts)})
                say(f"{count} lesions, gain {gain}: {dict(counts)}")
    return {"resamples": rules.resamples, "retrainings": retrainings, "cells": cells}


_shared: dict[str, Any] = {}


def _begin(pool: Pool, rules: Rules) -> None:
    _shared.update(pool=pool, rules=rules)


def _one(job: tuple[int, float, int]) -> list[str]:
    lesions, gain, number = job
    pool, rules = _shared["pool"], _shared["rules"]
    generator = np.random.default_rng([SEED, lesions, round(gain * 1000), number])
    drawn = draw_pair(pool, lesions, gain, generator)
    if z_of_gain(pool, drawn, 0, 1) < HOPELESS:
        return ["keep"]
    frames = (frame_of(pool, drawn, model) for model in (0, 1))
    verdict = judge_challenger(*frames, looks_spent=0, rules=rules, seed=number)
    found: list[str] = [verdict.decision]
    if verdict.criteria[0].verdict != BETTER:
        return found
    found.append("gain")
    margins = verdict.criteria[1 : 2 + len(rules.margins)]
    names = [*(one.figure for one in rules.margins), "worst_subgroup"]
    for name, one in zip(names, margins, strict=True):
        if one.verdict in (NOT_ASSESSABLE, WORSE):
            found.append(f"{name}: {one.verdict}")
    return found
