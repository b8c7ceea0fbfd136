"""The label-free health of a night: are tonight's images like those the model was tested on?

A worker counts its shard (`tally`), the driver adds the counts up and compares them with the model's reference
(`compare`). No row passes through the driver.
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

CLASSES = "class_mix"
"""What the mix of predicted diagnoses is called among the measures."""

LARGE = 0.2
"""Population stability index, above what chance alone gives, from which a measure has drifted. By convention
less than 0.1 is no change and more than 0.25 a large one (Lewis, An Introduction to Credit Scoring, 1994)."""

SMALL = 0.1
"""The same, below which nothing has changed."""

LEVEL = 0.001
"""Chance of a false alarm in a night of images from the reference's population, all measures together: a night
in three years. (Simulated: 2 of 1,000 nights of 50 or 60 images, less than 1 of 300 and more.)"""

NAMED = 3
"""Changes that the sentence names."""

WORDS = {
    "brightness": "brightness (0 to 1)",
    "sharpness": "sharpness (variance of the Laplacian)",
    "megapixels": "size (megapixels)",
    "confidence": "confidence (0 to 1)",
    "unlike_training": "distance from the training images (in standard deviations)",
}
"""What people call a measure, and its unit."""

SPREAD = "spread differently"
"""Said of a measure that is neither lower nor higher. Its figures are of one part of its range."""

FEWEST_IMAGES = 50
"""With fewer, ten bins expect less than the 5 images each that the test needs: nothing is said of the night."""

FEWEST_HELD_OUT = 40
"""Of the reference: with fewer there are not even two bins that are known well enough."""


@dataclass(frozen=True)
class Drift:
    """How far one measure is from the reference.

    Attributes:
        measure: one of MEASURES, or CLASSES.
        psi: population stability index (`stability_index`).
        psi_by_chance: what it is on average where nothing has changed.
        p: of the chi-squared test that both are samples of one population, adjusted for all measures (Holm).
        drifted: psi is LARGE or more above chance, and p below LEVEL.
        change: in words, such as "median brightness (0 to 1) is lower"; "as usual" where psi is less than SMALL
            above chance. The two figures are what it speaks of, and in the order that it says.
        tonight: the median; where `change` says "often" or "differently", the fraction of the images; None for
            a mix of classes as usual, and for a median that is not finite.
        reference: the same of the held-out images.

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
    """What a night's images look like: `verdict` and `to_json()` for `runs`, `sentence` for people.

    Attributes:
        verdict: usual, drifted, or too_few where there are not enough images to say.
        sentence: the verdict and why, in one sentence.
        images: of the night.
        reference_images: held-out images it was compared with.
        measures: how far each is from the reference, what drifted first, the largest PSI before others; empty
            where there are too few images.
        flags: images with each flag.

    """

    verdict: str
    sentence: str
    images: int
    reference_images: int
    measures: tuple[Drift, ...]
    flags: dict[str, int]

    def to_json(self) -> str:
        """All of it, for the column `health_detail`."""
        return json.dumps(asdict(self), allow_nan=False)


def compare(usual: Usual, night: Tally) -> Health:
    """The verdict on a night. A measure has drifted where its change is large (PSI) and no chance (the test).

    The PSI alone cries wolf in a small night, where chance makes it large; the test alone in a large one, where
    it finds any difference. (Images of one lesion are more alike than the test believes: one more reason why
    it does not decide alone.)
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
    verdict = "drifted" if drifts[0].drifted else "usual"
    return Health(verdict, _sentence(drifts, night.images), night.images, usual.images, tuple(drifts), flags)


def stability_index(first: NDArray[np.integer], second: NDArray[np.integer]) -> tuple[float, float]:
    """The population stability index of two samples, as counts (k,) in the same bins; and what chance gives.

    PSI = sum over the bins of (a - b) ln(a / b), a and b the fractions of the samples in a bin (Lewis, An
    Introduction to Credit Scoring, 1994); half an image is added to each count, so that an empty bin is no
    infinity. Of two samples, n and m images of one population, it is about (1/n + 1/m) times chi-squared with
    k - 1 degrees of freedom (Yurdakul, Statistical Properties of Population Stability Index, Western Michigan
    University, 2018), so on average (k - 1)(1/n + 1/m).
    """
    fractions = [(counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (first, second)]
    index = float(((fractions[0] - fractions[1]) * np.log(fractions[0] / fractions[1])).sum())
    return index, float((len(first) - 1) * (1 / max(first.sum(), 1) + 1 / max(second.sum(), 1)))


def _too_few(images: int, reference_images: int) -> str:
    """Why nothing can be said of a night; empty where something can."""
    if images < FEWEST_IMAGES:
        return f"{images} images are too few to say whether they are usual: {FEWEST_IMAGES} are needed"
    if reference_images < FEWEST_HELD_OUT:
        return (
            f"the drift reference has {reference_images} images: too few to say whether tonight's are usual,"
            f" {FEWEST_HELD_OUT} are needed"
        )
    return ""


def _counts(usual: Usual, night: Tally, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tonight's and the reference's counts of one measure."""
    if name == CLASSES:
        return night.predicted, np.array(usual.predicted, dtype=np.int64)
    return night.counts[name], np.array(usual.measures[name].counts, dtype=np.int64)


_Described = tuple[str, float | None, float | None]


def _no_change(usual: Usual, night: Tally, name: str) -> _Described:
    """A measure's medians, tonight's and the reference's, where neither says anything."""
    if name == CLASSES:
        return "as usual", None, None
    return "as usual", _median(night, name), usual.measures[name].middle()


def _median(night: Tally, name: str) -> float | None:
    median = night.values[name].median()
    return median if median is not None and math.isfinite(median) else None


def _change(usual: Usual, night: Tally, name: str) -> _Described:
    """How a measure has changed, and in what figure, tonight's and the reference's.

    Lower and higher are said of medians, and only if the ranks say so too: most of tonight's images are then on
    that side of most of the reference's. (Of means they cannot be said: three photographs of 24 megapixels pull
    the mean of 61 thumbnails above that of the reference.)
    """
    if name == CLASSES:
        return _class_change(usual, night)
    words = WORDS.get(name, name)
    tonight, before = (counts / counts.sum() for counts in _counts(usual, night, name))
    # The chance that an image of tonight's is above one of the reference's, the same bin counting half
    above = float((tonight * (before.cumsum() - before / 2)).sum())
    medians = _median(night, name), usual.measures[name].middle()
    order = _order(*medians)
    if (order == "lower" and above < 0.4) or (order == "higher" and above > 0.6):
        return f"median {words} is {order}", *medians
    # Nearly as many are above as below: it is the ends or the middle that have changed
    place = int((tonight - before).argmax())
    fractions = float(tonight[place]), float(before[place])
    often = {0: "very low more often", len(before) - 1: "very high more often"}
    change = often.get(place, SPREAD) if _order(*fractions) == "higher" else SPREAD
    return f"{words} is {change}", *fractions


def _order(tonight: float | None, reference: float) -> str:
    """Whether one figure is lower or higher than the other as both are shown; "" where neither is."""
    if tonight is None or _shown(tonight) == _shown(reference):
        return ""
    return "lower" if tonight < reference else "higher"


def _class_change(usual: Usual, night: Tally) -> _Described:
    """The diagnosis whose share has changed most, its fraction tonight and in the reference."""
    tonight, before = (counts / counts.sum() for counts in _counts(usual, night, CLASSES))
    most = int(np.abs(tonight - before).argmax())
    fractions = float(tonight[most]), float(before[most])
    often = {"higher": "more often", "lower": "less often", "": "differently"}[_order(*fractions)]
    return f"{DIAGNOSES[most]} is predicted {often}", *fractions


def _sentence(drifts: list[Drift], images: int) -> str:
    """The verdict for people. At most NAMED changes are named, the rest is counted."""
    drifted = [drift for drift in drifts if drift.drifted]
    if not drifted:
        return f"tonight's {images:,} images look like those the model was tested on"
    parts = [
        f"{drift.change} ({_shown(drift.tonight)} against {_shown(drift.reference)}{_of_what(drift)},"
        f" PSI {drift.psi:.2f}, p {_p(drift.p)})"
        for drift in drifted[:NAMED]
    ]
    more = f", and {len(drifted) - NAMED} more measures have drifted" if len(drifted) > NAMED else ""
    return f"do not trust tonight: {', '.join(parts)} than in the images the model was tested on{more}"


def _of_what(drift: Drift) -> str:
    """What the figures are of, where the change does not say it."""
    if drift.change.endswith(SPREAD):
        return " of the images in the part of its range that gained most"
    return "" if drift.change.startswith("median") else " of the images"


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value + 0.0:.3g}"  # -0.0 is 0, not lower


def _p(p: float) -> str:
    return "< 1e-9" if p < 1e-9 else f"= {p:.0e}"
