"""The smallest gain that a test set of so many lesions can show: said before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from skinml.evaluation.intervals import expanded_level
from skinml.gate.criteria import normal_quantile
from skinml.gate.rules import Rules
from skinml.labels import DIAGNOSES

TYPICAL_DISAGREEMENT: dict[str, float] = {
    "akiec": 0.25,
    "bcc": 0.20,
    "bkl": 0.22,
    "df": 0.19,
    "mel": 0.19,
    "nv": 0.10,
    "vasc": 0.03,
}
"""Of a diagnosis's lesions, the mean square of the share of images that only one of two models has right.

Of two fits of one recipe with different seeds (the thesis CNN on HAM10000's held-out lesions, mean of three
pairs).
"""


def smallest_gain(
    lesions: Mapping[str, int],
    *,
    disagreement: Mapping[str, float] = TYPICAL_DISAGREEMENT,
    power: float = 0.8,
    rules: Rules | None = None,
) -> float:
    """The true gain in balanced accuracy that one look shows with probability `power`.

    (z of the level + z of the power) times the standard error of a mean over diagnoses, each of which has a
    variance of disagreement / lesions (paired proportions: Connor, Biometrics 43:207, 1987). A diagnosis
    without disagreement counts as if one lesion more had changed, as it does in the gate.

    >>> ham10000 = dict(akiec=34, bcc=50, bkl=102, df=15, mel=87, nv=828, vasc=12)
    >>> round(smallest_gain(ham10000), 2), round(smallest_gain(ham10000, power=0.5), 2)
    (0.1, 0.08)

    Args:
        lesions: of each diagnosis in the test set; those without are left out.
        disagreement: of each diagnosis, 0 to 1; that of two fits of one recipe if nothing is known.
        power: how likely it is to be shown. With 0.5, the gain that just suffices if it is also what is seen.
        rules: of the gate.

    Returns:
        0 to 1; 1 if no gain can be shown.

    Raises:
        ValueError: there is no lesion.

    """
    rules = rules or Rules()
    counts = {name: lesions[name] for name in DIAGNOSES if lesions.get(name, 0) > 0}
    if not counts:
        raise ValueError("no test lesion: no gain can be shown")
    variances = {}
    for name, count in counts.items():
        none = 1 / (count + 1)
        variances[name] = max(disagreement.get(name, 0.0), none * (1 - none)) / count
    total = sum(variances.values())
    freedom = total**2 / sum(one**2 / max(1, counts[name] - 1) for name, one in variances.items())
    level = expanded_level(1 + int(freedom), 1 - 2 * rules.level)
    wanted = normal_quantile(level) + NormalDist().inv_cdf(power)
    return min(1.0, wanted * math.sqrt(total) / len(counts))
