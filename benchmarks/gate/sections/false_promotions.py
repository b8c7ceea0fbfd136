"""How often the gate promotes a model that is exactly as good: 10,000 retrainings, and 1,000 whole budgets."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.gate.inputs import Drawn, Pool, draw_pair, frame_of, read_pool, z_of_gain
from benchmarks.harness.bench import Bench, Result, say
from skinml.gate import Rules, judge_challenger
from skinml.gate.criteria import BETTER

RETRAININGS = 10_000
BUDGETS = 1_000
AUDITED = 60
HOPELESS = 2.5
"""Gains of fewer standard errors are not judged in full: the level of one look asks for 2.8 and more."""

SEED = 2022
RULES = Rules()


def measure(bench: Bench) -> Result:
    """Judge equal models; a trial judges fewer."""
    pool = read_pool(bench.options.workspace or bench.cache / "thesis")
    counts = (bench.count(RETRAININGS), bench.count(BUDGETS), bench.count(AUDITED))
    return false_promotions(pool, *counts, RULES, bench.options.workers)


def false_promotions(
    pool: Pool, retrainings: int, budgets: int, audited: int, rules: Rules, workers: int
) -> Result:
    """Count what the gate decides about challengers that are exactly as good as their champion.

    Only those whose gain is HOPELESS standard errors or more are judged in full, with the gate itself and all
    its resamples. Of the others `audited` are judged in full too, to see that none of them would have passed.

    Args:
        pool: real predictions.
        retrainings: each with a test set of its own, as large as the pool.
        budgets: each with one test set, at which `rules.looks` challengers are looked; the champion is whoever
            was promoted last.
        audited: hopeless ones that are judged in full.
        rules: of the gate.
        workers: processes; their number does not change the result.

    Returns:
        Counts: retrainings, judged (in full), gain_shown, promoted, proposed; audited and audit_passed;
        budgets, looks, and budgets_spoiled: with one or more false promotions (the gain alone).

    """
    jobs: list[tuple[str, int, float]] = []
    for number in range(retrainings):
        drawn = _retraining(pool, number)
        jobs.append(("retraining", number, z_of_gain(pool, drawn, 0, 1)))
    likely = [job for job in jobs if job[2] >= HOPELESS]
    others = [job for job in jobs if job[2] < HOPELESS]
    chosen = np.random.default_rng(SEED).permutation(len(others))[:audited]
    audit = [("audit", *others[number][1:]) for number in chosen]
    say(f"{len(likely)} of {retrainings} retrainings are judged in full")
    found: dict[str, Counter[str]] = {"retraining": Counter(), "audit": Counter()}
    spoiled = judged = 0
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(pool, rules)) as run:
        for kind, outcome in run.map(_judge, [*likely, *audit], chunksize=4):
            found[kind].update(outcome)
        for number, (promoted, looked) in enumerate(run.map(_one_budget, range(budgets), chunksize=4)):
            spoiled += promoted
            judged += looked
            if number % 100 == 99:
                say(f"{number + 1} budgets")
    counts = found["retraining"]
    return {
        "lesions": pool.lesions,
        "fits": pool.fits,
        "resamples": rules.resamples,
        "level": rules.level,
        "retrainings": retrainings,
        "judged": len(likely),
        "gain_shown": counts["gain"],
        "promoted": counts["promote"],
        "proposed": counts["propose"],
        "audited": len(audit),
        "audit_passed": found["audit"]["gain"],
        "budgets": budgets,
        "looks": rules.looks,
        "budget": rules.budget,
        "budgets_judged": judged,
        "budgets_spoiled": spoiled,
    }


_shared: dict[str, Any] = {}


def _begin(pool: Pool, rules: Rules) -> None:
    _shared.update(pool=pool, rules=rules)


def _retraining(pool: Pool, number: int) -> Drawn:
    return draw_pair(pool, pool.lesions, 0.0, np.random.default_rng([SEED, 0, number]))


def _judge(job: tuple[str, int, float]) -> tuple[str, list[str]]:
    kind, number, _ = job
    pool, rules = _shared["pool"], _shared["rules"]
    return kind, outcome_of(pool, _retraining(pool, number), 0, 1, number, rules)


def outcome_of(pool: Pool, drawn: Drawn, champion: int, challenger: int, seed: int, rules: Rules) -> list[str]:
    """The decision, and "gain" if the gain was shown."""
    frames = (frame_of(pool, drawn, model) for model in (champion, challenger))
    verdict = judge_challenger(*frames, looks_spent=0, rules=rules, seed=seed)
    return [verdict.decision, *(["gain"] if verdict.criteria[0].verdict == BETTER else [])]


def _one_budget(number: int) -> tuple[bool, int]:
    """Whether one of the looks at one test set shows a gain, and how many were judged in full."""
    pool, rules = _shared["pool"], _shared["rules"]
    generator = np.random.default_rng([SEED, 1, number])
    models = rules.looks + 1
    lesions = generator.integers(0, pool.lesions, pool.lesions)
    fits = generator.integers(0, pool.fits, (models, len(lesions)))
    drawn = Drawn(lesions, fits, np.zeros(len(lesions), bool))
    champion, spoiled, judged = 0, False, 0
    for challenger in range(1, models):
        if z_of_gain(pool, drawn, champion, challenger) < HOPELESS:
            continue
        judged += 1
        if "gain" in outcome_of(pool, drawn, champion, challenger, challenger, rules):
            champion, spoiled = challenger, True
    return spoiled, judged
