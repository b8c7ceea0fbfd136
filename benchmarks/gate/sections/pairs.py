"""The real fits against each other: what the gate decides if one of them retrains another."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from benchmarks.gate.inputs import Drawn, Pool, frame_of, read_pool
from benchmarks.harness.bench import Bench, Result
from skinml.gate import Rules, judge_challenger


def measure(bench: Bench) -> Result:
    """Judge each fit against each other one; a trial does the same."""
    return judged_pairs(read_pool(bench.options.workspace or bench.cache / "thesis"), Rules())


def judged_pairs(pool: Pool, rules: Rules) -> Result:
    """The decision about each ordered pair.

    Returns:
        pairs: {champion, challenger (numbers of fits), decision, gain, worse and open (not assessable):
        names of criteria}.

    """
    whole = Drawn(
        np.arange(pool.lesions),
        np.stack([np.full(pool.lesions, fit) for fit in [*range(pool.fits), 0]]),
        np.zeros(pool.lesions, bool),
    )
    frames = [frame_of(pool, whole, fit) for fit in range(pool.fits)]
    pairs = []
    for champion, challenger in permutations(range(pool.fits), 2):
        verdict = judge_challenger(frames[champion], frames[challenger], looks_spent=0, rules=rules)
        found = {
            kind: [one.criterion for one in verdict.criteria if one.verdict == said]
            for kind, said in (("worse", "worse"), ("open", "not assessable"))
        }
        gain = verdict.criteria[0].difference
        pairs.append(
            {
                "champion": champion,
                "challenger": challenger,
                "decision": verdict.decision,
                "gain": gain,
                **found,
            }
        )
    return {"pairs": pairs}
