"""Say in plain words what a challenger found and missed, counted in lesions, and whether chance explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from skinml.evaluation.bootstrap import percentile_interval
from skinml.evaluation.comparison import lesion_right
from skinml.evaluation.weighted import Name
from skinml.gate.paired import Figure, Pair
from skinml.labels import DIAGNOSES, MALIGNANT, MELANOMA

MALIGNANT_NUMBERS = [DIAGNOSES.index(name) for name in MALIGNANT]


def sentences_of(both: Pair, found: Mapping[Name, Figure]) -> list[str]:
    """Two sentences: about melanomas, and about malignant lesions.

    A lesion counts as called something if more than half of its images are. "Within chance": the 95 % intervals
    of the differences in sensitivity and in specificity both hold 0. It decides nothing.
    """
    return [
        _sentence("melanoma", [MELANOMA], both, found),
        _sentence("malignant lesion", MALIGNANT_NUMBERS, both, found),
    ]


def _sentence(name: str, classes: Sequence[int], both: Pair, found: Mapping[Name, Figure]) -> str:
    positive = np.isin(both.strata, classes)
    champion, challenger = (
        lesion_right(np.isin(model.predicted, classes), model.lesions) for model in both.models
    )
    if not positive.any():
        return f"No test lesion is a {name}: nothing is known about finding them."
    more = _count(challenger & positive) - _count(champion & positive)
    alarms = _count(challenger & ~positive) - _count(champion & ~positive)
    what = name.split(maxsplit=1)[0]
    hits, alarms_held = (_holds_0(found[f"{what}_{figure}",]) for figure in ("sensitivity", "specificity"))
    return (
        f"Found {_more_or_fewer(more, name)} of {int(positive.sum())},"
        f" {_more_or_fewer(alarms, 'false alarm')}: {_chance(hits, alarms_held, name)}."
    )


def _chance(hits: bool, alarms: bool, name: str) -> str:
    """Whether chance explains each of the two differences; True if it may."""
    if hits == alarms:
        return "within chance" if hits else "both more than chance explains"
    outside, inside = ("false alarms", f"{name}s found") if hits else (f"{name}s found", "false alarms")
    return f"the difference in {outside} is more than chance explains, that in {inside} is within chance"


def _more_or_fewer(difference: int, name: str) -> str:
    if not difference:
        return f"as many {name}s as before"
    plural = name if abs(difference) == 1 else f"{name}s"
    return f"{abs(difference)} {'more' if difference > 0 else 'fewer'} {plural}"


def _count(chosen: NDArray[np.bool_]) -> int:
    return int(chosen.sum())


def _holds_0(figure: Figure) -> bool:
    low, high = percentile_interval(figure.differences) or (0.0, 0.0)
    return low <= 0 <= high
