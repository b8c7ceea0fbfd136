"""The drift reference of a model: distributions of held-out images, in `reference.json` of its bundle.

Training makes it from images that the model was not trained on. Scoring compares a run with it (`health`) and
single images with its thresholds (`flags`). It has one part for each precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictInt, TypeAdapter, model_validator

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.models.bundle import REFERENCE
from skinml.models.precisions import Precision
from skinml.strict_json import parse_json

MEASURES = ("brightness", "sharpness", "megapixels", "confidence", "unlike_training")
"""The measures that are compared, besides the class mix."""

MOST_BINS = 10
"""Deciles: enough to distinguish shapes, and a run of 50 images still has 5 in each."""

FEWEST_A_BIN = 20
"""The fewest held-out images in a bin, so that the fraction of the population in a bin is known well enough:
with 5 in a bin, 2 to 5 of 100 simulated runs without any change were called drifted; with 20, at most 4 of
1,000."""

TAIL = 0.01
"""Fraction of held-out images in the lowest and in the highest bin. If a tenth of a run's images show no skin
at all, no decile moves far, but these bins fill up."""

FEWEST_FOR_TAILS = 200
"""With fewer held-out images there are no such bins. With 200 they have two images each."""

RARELY = 0.005
"""Fraction of held-out images that count as too blurred, too dark or too bright: 1 in 200 for each."""

UNSURE = 0.05
"""Fraction of held-out images that count as low confidence: the least certain 5 %."""

UNLIKE = 0.01
"""Fraction of held-out images that count as unlike the training images."""


class Measured(NamedTuple):
    """The measures of n images that need no labels. All have shape (n,) and are float64; `predicted` is int64.

    Attributes:
        brightness: mean luminance of the model's own pixels, 0 to 1 (`images.quality`).
        sharpness: variance of their Laplacian, at least 0.
        megapixels: of the source image, width x height / 1,000,000.
        confidence: largest of the seven probabilities.
        unlike_training: the network's second output, at least 0.
        predicted: class numbers, 0 to 6.

    """

    brightness: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    megapixels: NDArray[np.float64]
    confidence: NDArray[np.float64]
    unlike_training: NDArray[np.float64]
    predicted: NDArray[np.int64]


def gather_measures(
    *,
    brightness: NDArray[np.floating],
    sharpness: NDArray[np.floating],
    width: NDArray[np.integer],
    height: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    unlike_training: NDArray[np.floating],
) -> Measured:
    """Compute the measures of n images from decoding and network: all (n,), probabilities (n, 7)."""
    return Measured(
        brightness=np.asarray(brightness, dtype=np.float64),
        sharpness=np.asarray(sharpness, dtype=np.float64),
        megapixels=np.asarray(width, dtype=np.float64) * np.asarray(height, dtype=np.float64) / 1e6,
        confidence=probabilities.max(axis=1, initial=0.0).astype(np.float64),
        unlike_training=np.asarray(unlike_training, dtype=np.float64),
        predicted=probabilities.argmax(axis=1).astype(np.int64),
    )


Count = Annotated[StrictInt, Field(ge=0, le=2**53)]
"""A number of images, up to the largest integer that float64 represents exactly."""


class Frozen(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(frozen=True)


class Distribution(Frozen):
    """The distribution of one measure over the held-out images.

    Attributes:
        edges: k inner edges, ascending; bin i holds values above edge i - 1, up to and including edge i. The
            first and the last bin are open.
        counts: number of images in each of the k + 1 bins.
        mean: mean of the images.
        median: a value with half of the images at or below it; None in older bundles.

    """

    edges: tuple[FiniteFloat, ...] = Field(min_length=1)
    counts: tuple[Count, ...]
    mean: FiniteFloat
    median: FiniteFloat | None = None

    def middle(self) -> float:
        """The median; in older bundles an estimate from the bins.

        With ten bins an edge is the exact median. With fewer it is interpolated within its bin, or, if that bin
        is open, it is the bin's only edge.
        """
        if self.median is not None:
            return self.median
        half, below = sum(self.counts) / 2, np.cumsum((0, *self.counts))
        place = int(np.searchsorted(below[1:], half))
        if place == 0 or place >= len(self.edges):
            return self.edges[min(place, len(self.edges) - 1)]
        # np.interp returns an edge unchanged; low + (high - low) * 1 may be the neighbouring float.
        return float(np.interp(half, below[place : place + 2], self.edges[place - 1 : place + 1]))

    @model_validator(mode="after")
    def _is_one(self) -> Distribution:
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges do not rise")
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(f"{len(self.counts)} counts for {len(self.edges)} edges")
        if not sum(self.counts):
            raise ValueError("all counts are 0")
        return self


class Thresholds(Frozen):
    """The thresholds of the flags.

    Attributes:
        blurred: sharpness below this.
        dark: brightness below this.
        overexposed: brightness above this.
        low_confidence: confidence below this.
        unlike_training: the network's second output above this.

    """

    blurred: FiniteFloat
    dark: FiniteFloat
    overexposed: FiniteFloat
    low_confidence: FiniteFloat
    unlike_training: FiniteFloat


class Usual(Frozen):
    """The reference for the network of one precision.

    Attributes:
        images: number of held-out images.
        measures: the distribution of each of MEASURES.
        predicted: number of images predicted as each of the seven diagnoses.
        thresholds: the thresholds of the flags.

    """

    images: Annotated[Count, Field(ge=1)]
    measures: dict[str, Distribution]
    predicted: Annotated[tuple[Count, ...], Field(min_length=len(DIAGNOSES), max_length=len(DIAGNOSES))]
    thresholds: Thresholds

    @model_validator(mode="after")
    def _is_whole(self) -> Usual:
        missing = [name for name in MEASURES if name not in self.measures]
        if missing:
            raise ValueError(f"the measure {missing[0]} is missing")
        return self


class Reference(Frozen):
    """The content of `reference.json`.

    Attributes:
        held_out: False if it includes training images, because too few images were held out.
        precisions: the part for each network of the bundle.

    """

    held_out: bool
    precisions: dict[Precision, Usual]

    def of(self, precision: Precision, version: str) -> Usual:
        """Return the part of one precision. Raises RequestError if there is none."""
        if precision not in self.precisions:
            raise RequestError(f"model {version}: {REFERENCE} has no {precision}; score with --precision fp32")
        return self.precisions[precision]


_REFERENCE = TypeAdapter(Reference)


def parse_reference(data: bytes, version: str) -> Reference:
    """Parse and check the bytes of a reference. Raises RequestError if they are not valid."""
    try:
        return parse_json(_REFERENCE, data)
    except ValueError as error:
        raise RequestError(
            f"model {version}: {REFERENCE} is not a valid drift reference: {error}; train a new version"
        ) from error


def make_reference(measured: Mapping[Precision, Measured], held_out: bool) -> Reference:
    """Make the reference of a model from the measures of its held-out images by each of its networks."""
    return Reference(held_out=held_out, precisions={name: describe(each) for name, each in measured.items()})


def describe(measured: Measured) -> Usual:
    """Return distributions and thresholds of n images, n at least 1.

    The thresholds are quantiles of the same images: each flags at most its fraction (RARELY, UNSURE, UNLIKE) of
    them. With few images (fewer than 200 for 1 in 200) the threshold is the most extreme image, so an image is
    flagged only if it is beyond all held-out images.
    """
    sharpness, brightness = measured.sharpness, measured.brightness
    return Usual(
        images=len(measured.predicted),
        measures={name: distribution(getattr(measured, name)) for name in MEASURES},
        predicted=tuple(count_classes(measured.predicted).tolist()),
        thresholds=Thresholds(
            blurred=float(np.quantile(sharpness, RARELY, method="lower")),
            dark=float(np.quantile(brightness, RARELY, method="lower")),
            overexposed=float(np.quantile(brightness, 1 - RARELY, method="higher")),
            low_confidence=float(np.quantile(measured.confidence, UNSURE, method="lower")),
            unlike_training=float(np.quantile(measured.unlike_training, 1 - UNLIKE, method="higher")),
        ),
    )


def distribution(values: NDArray[np.float64]) -> Distribution:
    """Return the distribution of n finite values, n at least 1: deciles, and the lowest and highest hundredth.

    If there are few values, there are fewer bins. Ties merge edges: a measure with three values has at most
    three edges. If the first bin holds only the smallest value, a bin for everything below is added before it,
    so that a constant measure has three bins (less, equal, more) and any change is detected.
    """
    bins = int(np.clip(len(values) // FEWEST_A_BIN, 2, MOST_BINS))
    tails = [TAIL, 1 - TAIL] if len(values) >= FEWEST_FOR_TAILS else []
    edges = np.unique(np.quantile(values, [*np.arange(1, bins) / bins, *tails], method="lower"))
    if edges[0] == values.min():
        edges = np.concatenate([[np.nextafter(edges[0], -np.inf)], edges])
    counts = count_bins(edges, values)
    return Distribution(
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        mean=float(values.mean()),
        median=float(np.quantile(values, 0.5, method="lower")),
    )


def count_bins(
    edges: NDArray[np.float64] | tuple[float, ...], values: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Count the values in each bin of a `Distribution`, int64 (len(edges) + 1,). NaN counts in the last bin."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1).astype(np.int64)


def count_classes(predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the images predicted as each diagnosis, int64 (7,)."""
    return np.bincount(predicted, minlength=len(DIAGNOSES)).astype(np.int64)
