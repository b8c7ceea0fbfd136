"""How often a clinic with few test lesions sees an equal model pass: the level, if single lesions matter."""

from __future__ import annotations

from collections import Counter

import numpy as np

from benchmarks.gate.inputs import Pool, draw_pair, read_pool, z_of_gain
from benchmarks.gate.sections.false_promotions import outcome_of
from benchmarks.harness.bench import Bench, Result, say
from skinml.gate import Rules

LESIONS = (60, 150, 400)
RETRAININGS = 4_000
HOPELESS = 2.0
"""Gains of fewer standard errors are not judged in full."""

SEED = 1908
RULES = Rules(resamples=4_000)


def measure(bench: Bench) -> Result:
    """Judge equal models on small test sets; a trial judges fewer."""
    pool = read_pool(bench.options.workspace or bench.cache / "thesis")
    return small_test_sets(pool, LESIONS, bench.count(RETRAININGS), RULES)


def small_test_sets(pool: Pool, lesions: tuple[int, ...], retrainings: int, rules: Rules) -> Result:
    """Of each number of test lesions how many equal challengers have a gain shown, and are promoted.

    Returns:
        resamples, retrainings, level, and sets: {lesions, judged (in full), gain_shown, promoted}.

    """
    sets = []
    for count in lesions:
        outcomes: Counter[str] = Counter()
        judged = 0
        for number in range(retrainings):
            drawn = draw_pair(pool, count, 0.0, np.random.default_rng([SEED, count, number]))
            if z_of_gain(pool, drawn, 0, 1) >= HOPELESS:
                judged += 1
                outcomes.update(outcome_of(pool, drawn, 0, 1, number, rules))
        say(f"{count} lesions: {dict(outcomes)}")
        sets.append(
            {
                "lesions": count,
                "judged": judged,
                "gain_shown": outcomes["gain"],
                "promoted": outcomes["promote"],
            }
        )
    return {"resamples": rules.resamples, "retrainings": retrainings, "level": rules.level, "sets": sets}
