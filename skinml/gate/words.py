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
    what = name.split()[0]
    held = [_holds_0(found[f"{what}_{figure}",]) for figure in ("sensitivity", "specificity")]
    hits = _more_or_fewer(more, name)
    false = _more_or_fewer(alarms, "false alarm")
    chance = "within chance" if all(held) else "more than chance explains"
    of = f"of {int(positive.sum())} {'' if name == 'melanoma' else 'such '}lesions"
    return f"Found {hits} {of}, {false}: {chance}."


def _more_or_fewer(difference: int, name: str) -> str:
    plural = name if abs(difference) == 1 else f"{name}s"
    if not difference:
        return f"as many {name}s"
    return f"{abs(difference)} {'more' if difference > 0 else 'fewer'} {plural}"


def _count(chosen: NDArray[np.bool_]) -> int:
    return int(chosen.sum())


def _holds_0(figure: Figure) -> bool:
    low, high = percentile_interval(figure.differences) or (0.0, 0.0)
    return low <= 0 <= high
