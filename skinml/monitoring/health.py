"""Health of a run without labels: do its images look like those that the model was tested on?

Each worker counts its shard (`tally`). The driver adds the counts and compares them with the model's drift
reference (`compare`). Rows do not pass through the driver.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES
from skinml.monitoring.chi_squared import holm, homogeneity, pool
from skinml.monitoring.reference import MEASURES, Usual
from skinml.monitoring.tally import Tally
from skinml.words import several

DRIFTED = "drifted"
"""The verdict that nobody should trust a run's scores."""

CLASSES = "class_mix"
"""The name of the mix of predicted diagnoses among the measures."""

LARGE = 0.2
"""A measure has drifted if its population stability index exceeds the value expected by chance by this much. By
convention less than 0.1 is no change and more than 0.25 a large one (Lewis, An Introduction to Credit Scoring,
1994)."""

SMALL = 0.1
"""Below this excess nothing has changed."""

LEVEL = 0.001
"""Probability of a false alarm in a run on images of the reference's population, over all measures: with a run
a night, once in three years. (Simulated: 2 of 1,000 runs with 50 or 60 images, less than 1 with 300 and
more.)"""

NAMED = 3
"""The largest number of changes that the sentence names."""

WORDS = {
    "brightness": "brightness (0 to 1)",
    "sharpness": "sharpness (variance of the Laplacian)",
    "megapixels": "size (megapixels)",
    "confidence": "confidence (0 to 1)",
    "unlike_training": "distance from the training images (in standard deviations)",
}
"""Each measure in words, with its unit."""

SPREAD = "spread differently"
"""The change of a measure that is neither lower nor higher. Its figures are for one part of its range."""

FEWEST_IMAGES = 50
"""With fewer images, ten bins have fewer than the 5 images each that the test needs, and there is no
verdict."""

FEWEST_HELD_OUT = 40
"""With fewer held-out images the reference does not even have two reliable bins."""


@dataclass(frozen=True)
class Drift:
    """How far one measure is from the reference.

    Attributes:
        measure: one of MEASURES, or CLASSES.
        psi: population stability index (`stability_index`).
        psi_by_chance: its average if nothing has changed.
        p: of the chi-squared test that both are samples of one population, adjusted for all measures (Holm).
        drifted: whether psi exceeds chance by LARGE or more, and p is below LEVEL.
        change: in words, such as "median brightness (0 to 1) is lower"; "as usual" if psi exceeds chance by
            less than SMALL. The two figures below are the ones that it compares.
        tonight: the run's median; if `change` says "often" or "differently", the fraction of its images; None
            for an unchanged mix of classes, and for a median that is not finite.
        reference: the same for the held-out images.

    """

    measure: str
    psi: float
    psi_by_chance: float
    p: float
    drifted: bool
    change: str
    tonight: float | None
    reference: float | None


@dataclass(frozen=True)
class Health:
    """The health of a run: `verdict` and `to_json()` for the table `runs`, `sentence` for log and UI.

    Attributes:
        verdict: usual, drifted, or too_few if there are too few images.
        sentence: the verdict and its reason, in one sentence.
        images: number of images in the run.
        reference_images: number of held-out images that it is compared with.
        measures: the distance of each measure from the reference; drifted ones first, then by PSI, the largest
            first; empty if there are too few images.
        flags: number of images with each flag.

    """

    verdict: str
    sentence: str
    images: int
    reference_images: int
    measures: tuple[Drift, ...]
    flags: dict[str, int]

    def to_json(self) -> str:
        """Return all of it as JSON, for the column `health_detail`."""
        return json.dumps(asdict(self), allow_nan=False)


def compare(usual: Usual, night: Tally) -> Health:
    """Compare a run with the reference. A measure has drifted if its change is large and significant.

    Large means a large PSI, significant means a small p of the chi-squared test.

    The PSI alone gives false alarms in a small run, because chance makes it large. The test alone gives false
    alarms in a large run, because it finds any difference. (Also, the test assumes independent images, but
    images of one lesion are alike.)
    """
    flags = {name: night.flags[name] for name in sorted(night.flags)}
    few = _too_few(night.images, usual.images)
    if few:
        return Health("too_few", few, night.images, usual.images, (), flags)
    names = (*MEASURES, CLASSES)
    pairs = {name: pool(*_counts(usual, night, name), ordered=name != CLASSES) for name in names}
    chances = holm({name: homogeneity(*pair)[1] for name, pair in pairs.items()})
    drifts = []
    for name, pair in pairs.items():
        psi, by_chance = stability_index(*pair)
        drifted = psi - by_chance >= LARGE and chances[name] < LEVEL
        described = _change(usual, night, name) if psi - by_chance >= SMALL else _no_change(usual, night, name)
        drifts.append(Drift(name, psi, by_chance, chances[name], drifted, *described))
    drifts.sort(key=lambda drift: (not drift.drifted, -drift.psi))
    verdict = DRIFTED if drifts[0].drifted else "usual"
    return Health(verdict, _sentence(drifts, night.images), night.images, usual.images, tuple(drifts), flags)


def stability_index(first: NDArray[np.integer], second: NDArray[np.integer]) -> tuple[float, float]:
    """Return the population stability index of two samples, and its expected value if nothing has changed.

    PSI = sum over the bins of (a - b) ln(a / b), where a and b are the fractions of the samples in a bin
    (Lewis, An Introduction to Credit Scoring, 1994). Half an image is added to each count, so that an empty bin
    does not give infinity. For samples of n and m images of one population, the PSI is about (1/n + 1/m) times
    chi-squared with k - 1 degrees of freedom (Yurdakul, Statistical Properties of Population Stability Index,
    Western Michigan University, 2018), so its expected value is (k - 1)(1/n + 1/m).

    Args:
        first: counts of one sample by bin, (k,).
        second: counts of the other sample in the same bins, (k,).

    Example:
        >>> psi, by_chance = stability_index(np.array([50, 50]), np.array([80, 20]))
        >>> round(psi, 2), round(by_chance, 2)
        (0.41, 0.02)
    """
    fractions = [(counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (first, second)]
    index = float(((fractions[0] - fractions[1]) * np.log(fractions[0] / fractions[1])).sum())
    return index, float((len(first) - 1) * (1 / max(first.sum(), 1) + 1 / max(second.sum(), 1)))


def _too_few(images: int, reference_images: int) -> str:
    """Return why there is no verdict on a run; "" if there is one."""
    if images < FEWEST_IMAGES:
        few = f"{several(images, 'image')} {'is' if images == 1 else 'are'} too few to judge"
        return f"{few} whether they are usual: {FEWEST_IMAGES} are needed"
    if reference_images < FEWEST_HELD_OUT:
        few = f"the drift reference has {several(reference_images, 'image')}, too few to judge whether"
        return f"{few} this run's are usual: {FEWEST_HELD_OUT} are needed"
    return ""


def _counts(usual: Usual, night: Tally, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the run's and the reference's counts of one measure."""
    if name == CLASSES:
        return night.predicted, np.array(usual.predicted, dtype=np.int64)
    return night.counts[name], np.array(usual.measures[name].counts, dtype=np.int64)


_Described = tuple[str, float | None, float | None]


def _no_change(usual: Usual, night: Tally, name: str) -> _Described:
    """Describe an unchanged measure by its medians, the run's and the reference's."""
    if name == CLASSES:
        return "as usual", None, None
    return "as usual", _median(night, name), usual.measures[name].middle()


def _median(night: Tally, name: str) -> float | None:
    median = night.values[name].median()
    return median if median is not None and math.isfinite(median) else None


def _change(usual: Usual, night: Tally, name: str) -> _Described:
    """Describe how a measure has changed, with the figures of the run and the reference.

    "Lower" and "higher" refer to medians, and only if the ranks agree: most images of the run must be on that
    side of most images of the reference. (Means are not used: three photographs of 24 megapixels lift the mean
    of 61 thumbnails above that of the reference.)
    """
    if name == CLASSES:
        return _class_change(usual, night)
    words = WORDS.get(name, name)
    tonight, before = (counts / counts.sum() for counts in _counts(usual, night, name))
    # The probability that an image of the run is above one of the reference; equal bins count half
    above = float((tonight * (before.cumsum() - before / 2)).sum())
    medians = _median(night, name), usual.measures[name].middle()
    order = _order(*medians)
    if (order == "lower" and above < 0.4) or (order == "higher" and above > 0.6):
        return f"median {words} is {order}", *medians
    # Nearly as many are above as below, so the ends or the middle have changed
    place = int((tonight - before).argmax())
    fractions = float(tonight[place]), float(before[place])
    often = {0: "very low more often", len(before) - 1: "very high more often"}
    change = often.get(place, SPREAD) if _order(*fractions) == "higher" else SPREAD
    return f"{words} is {change}", *fractions


def _order(tonight: float | None, reference: float) -> str:
    """Return "lower" or "higher" for two figures as they are shown; "" if they look equal."""
    if tonight is None or _shown(tonight) == _shown(reference):
        return ""
    return "lower" if tonight < reference else "higher"


def _class_change(usual: Usual, night: Tally) -> _Described:
    """Describe the diagnosis whose share has changed most: its fraction in the run and in the reference."""
    tonight, before = (counts / counts.sum() for counts in _counts(usual, night, CLASSES))
    most = int(np.abs(tonight - before).argmax())
    fractions = float(tonight[most]), float(before[most])
    often = {"higher": "more often", "lower": "less often", "": "differently"}[_order(*fractions)]
    return f"{DIAGNOSES[most]} is predicted {often}", *fractions


def _sentence(drifts: list[Drift], images: int) -> str:
    """Return the verdict in one sentence. At most NAMED changes are named, the rest is counted."""
    drifted = [drift for drift in drifts if drift.drifted]
    if not drifted:
        return f"the {images:,} images of this run look like those the model was tested on"
    parts = [
        f"{drift.change} ({_shown(drift.tonight)} against {_shown(drift.reference)}{_of_what(drift)},"
        f" PSI {drift.psi:.2f}, p {_p(drift.p)})"
        for drift in drifted[:NAMED]
    ]
    more = f", and {len(drifted) - NAMED} more measures have drifted" if len(drifted) > NAMED else ""
    return (
        f"do not trust this run's scores: {', '.join(parts)} than in the images the model was tested on{more}"
    )


def _of_what(drift: Drift) -> str:
    """Return what the figures are a fraction of, if the change does not say it."""
    if drift.change.endswith(SPREAD):
        return " of the images in the part of its range that gained most"
    return "" if drift.change.startswith("median") else " of the images"


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value + 0.0:.3g}"  # -0.0 is 0, not lower


def _p(p: float) -> str:
    return "< 1e-9" if p < 1e-9 else f"= {p:.0e}"
