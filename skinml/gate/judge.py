"""Judge a challenger against the champion on test lesions that neither was trained on, and decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from skinml.evaluation.comparison import changed_lesions, lesion_right, mcnemar
from skinml.gate.criteria import (
    BETTER,
    NOT_ASSESSABLE,
    OUTSIDE,
    WORSE,
    judge_bounds,
    judge_gain,
    judge_margin,
)
from skinml.gate.groups import Group, judged_groups, worst_group
from skinml.gate.looks import budget_left
from skinml.gate.paired import WORST_SUBGROUP, Figure, Pair, compare_resampled, pair
from skinml.gate.rules import Margin, Rules
from skinml.gate.smallest import smallest_gain
from skinml.gate.verdict import NOT_ENOUGH, ChangedImage, ChangedLesion, Disagreement, Verdict
from skinml.gate.words import MALIGNANT_NUMBERS, sentences_of
from skinml.labels import DIAGNOSES, MELANOMA, malignant_probability
from skinml.models.floors import Criterion, missed

WORST_SUBGROUP_NAME = "balanced accuracy of the worst subgroup"

Decision = Literal["promote", "keep", "propose"]


def judge_challenger(
    champion: pd.DataFrame,
    challenger: pd.DataFrame,
    *,
    looks_spent: int,
    rules: Rules | None = None,
    seed: int = 0,
    floors: Sequence[Criterion] = (),
    speed: tuple[float | None, float | None] = (None, None),
    size: tuple[int | None, int | None] = (None, None),
) -> Verdict:
    """Decide whether the challenger replaces the champion.

    If several things are found, the first of these decides: a floor is missed, a figure is worse than its
    margin allows, speed or size is out of bounds: keep. No gain is shown: keep. A margin is not assessable:
    propose, a person decides. Else promote.

    Args:
        champion: image_id, lesion_id, dx, p_akiec ... p_vasc, and age, sex, localization, source (may be null)
            of test images that neither model was trained on.
        challenger: the same images in the same order.
        looks_spent: at these lesions (`looks.looks_spent`); this is the next one.
        rules: of the gate.
        seed: of the resampling. Fixed beforehand, so that nobody can look for a lucky one.
        floors: of the challenger, judged (`models.floors.judge_floors`).
        speed: images per second of champion and challenger, measured on one machine; None: not measured.
        size: bytes of both; None: not known.

    Raises:
        RequestError: there is no test lesion, the budget is spent, or the frames do not fit together. It is
            raised before any figure is computed, so no look was taken.

    """
    rules = rules or Rules()
    both = pair(champion, challenger)
    budget_left(looks_spent, len(both.strata), rules)
    lesions = {name: int(n) for name, n in zip(DIAGNOSES, both.lesions(), strict=True) if n}
    groups, few = judged_groups(both.rows, both.models, rules)
    found = compare_resampled(both, groups, seed=seed, resamples=rules.resamples)
    criteria = [
        judge_gain(found, lesions, rules),
        *(judge_margin(one, found[one.figure,], _behind(one, both), rules) for one in rules.margins),
        _worst_subgroup(both, groups, found.get((WORST_SUBGROUP,)), rules),
        *judge_bounds(speed, size, rules),
        *floors,
    ]
    decision, reason = decide(criteria)
    return Verdict(
        decision=decision,
        reason=reason,
        sentences=tuple(sentences_of(both, found)),
        criteria=tuple(criteria),
        look=looks_spent + 1,
        looks_allowed=rules.looks,
        level=rules.level,
        smallest_gain=smallest_gain(lesions, disagreement=_disagreement(both), rules=rules),
        images=len(both.rows),
        lesions=lesions,
        few=tuple(few),
        mcnemar=_mcnemar(both),
        changed=_changed(both),
        disagreements=_disagreements(both),
    )


def decide(criteria: Sequence[Criterion]) -> tuple[Decision, str]:
    """The decision and its reason in one line; the gain is the first criterion."""
    gain = criteria[0]
    below = missed(criteria)
    worse = [one for one in criteria if one.verdict in (WORSE, OUTSIDE)]
    open_ = [one.criterion.removesuffix(" not worse") for one in criteria if one.verdict == NOT_ASSESSABLE]
    if below:
        return "keep", "below the floors: " + "; ".join(one.in_words() for one in below)
    if worse:
        return "keep", "; ".join(map(_in_words, worse))
    low, _ = gain.interval or (0.0, 0.0)
    seen = f"balanced accuracy {gain.difference:+.3f}, its lower bound {low:+.3f}"
    if gain.verdict != BETTER:
        return "keep", f"{NOT_ENOUGH}: {seen} is not above 0"
    if open_:
        return (
            "propose",
            f"{seen} is above 0, but too few lesions to assess {', '.join(open_)}: a person decides",
        )
    return "promote", f"{seen} is above 0, and nothing is worse by more than its margin"


def _in_words(one: Criterion) -> str:
    if one.verdict == OUTSIDE:
        return f"{one.criterion}: {one.challenger:,.4g} for {one.champion:,.4g}"
    low, high = one.interval or (0.0, 0.0)
    return (
        f"{one.criterion.removesuffix(' not worse')} is worse: {one.difference:+.3f}"
        f" ({low:+.3f} to {high:+.3f}, margin {one.margin:+.2f})"
    )


def _behind(margin: Margin, both: Pair) -> int:
    """How many lesions a figure depends on; 0 if it is undefined without them."""
    classes = {
        "melanoma": [MELANOMA],
        "malignant": MALIGNANT_NUMBERS,
        "benign": [number for number in range(len(DIAGNOSES)) if number not in MALIGNANT_NUMBERS],
        "all": range(len(DIAGNOSES)),
    }
    return int(np.isin(both.strata, list(classes[margin.behind])).sum())


def _worst_subgroup(both: Pair, groups: Sequence[Group], figure: Figure | None, rules: Rules) -> Criterion:
    """The lowest balanced accuracy of any subgroup: the challenger's lowest against the champion's lowest."""
    lesions = 0
    name = f"{WORST_SUBGROUP_NAME} of {rules.subgroup_lesions} lesions or more"
    if groups:
        worst = worst_group(groups, 1, len(both.strata))
        lesions, name = worst.lesions, f"{name} (now {worst.name})"
    margin = Margin(figure=WORST_SUBGROUP, name=name, margin=rules.subgroup_margin)
    return judge_margin(margin, figure, lesions, rules)


def _disagreement(both: Pair) -> dict[str, float]:
    """Of each diagnosis the mean square of the share of a lesion's images that only one model has right."""
    labels, lesions = both.models[0].labels, both.models[0].lesions
    gained = (both.models[1].predicted == labels) - (both.models[0].predicted == labels).astype(np.int64)
    net = np.bincount(lesions, weights=gained) / np.bincount(lesions)
    return {
        name: float((net[both.strata == number] ** 2).mean())
        for number, name in enumerate(DIAGNOSES)
        if (both.strata == number).any()
    }


def _mcnemar(both: Pair) -> dict[str, object]:
    right = [lesion_right(one.predicted == one.labels, one.lesions) for one in both.models]
    return mcnemar(*right)


def _changed(both: Pair) -> tuple[ChangedLesion, ...]:
    champion, challenger = ((one.predicted == one.labels).astype(np.int64) for one in both.models)
    found = changed_lesions(both.rows, both.models, challenger - champion)
    return tuple(
        ChangedLesion(
            lesion_id=one["lesion_id"],
            dx=one["dx"],
            better=side == "better",
            images=tuple(
                ChangedImage(
                    image_id=str(image["image_id"]), champion=image["first"], challenger=image["second"]
                )
                for image in one["images"]
            ),
        )
        for side in ("worse", "better")
        for one in found[side]
    )


def _disagreements(both: Pair) -> tuple[Disagreement, ...]:
    """The images on which the two differ: only those need a clinician's label."""
    champion, challenger = (one.predicted for one in both.models)
    malignant = [malignant_probability(one.probabilities) for one in both.models]
    rows = np.flatnonzero(champion != challenger)
    order = rows[np.argsort(-np.maximum(*malignant)[rows], kind="stable")]
    said = both.rows[["image_id", "lesion_id", "dx"]].astype(str).to_numpy()
    return tuple(
        Disagreement(
            image_id=said[row][0],
            lesion_id=said[row][1],
            dx=said[row][2],
            champion=DIAGNOSES[champion[row]],
            challenger=DIAGNOSES[challenger[row]],
            p_malignant_champion=float(malignant[0][row]),
            p_malignant_challenger=float(malignant[1][row]),
        )
        for row in order
    )
