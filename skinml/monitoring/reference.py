"""What held-out training images look like to a model: `reference.json` of its bundle, one part a precision.

Read by scoring, which compares a night with it (`health`) and an image with its thresholds (`flags`). Made by
training, from images that the model was not fitted on.
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
"""What is compared of a night beside its class mix."""

MOST_BINS = 10
"""Deciles: enough to tell shapes apart, and 50 images of a night still put 5 in each."""

FEWEST_A_BIN = 20
"""Held-out images in a bin. How much of the population lies between two of 5,000 images is well known, between
two of 40 it is not: with 5 in a bin, 2 to 5 of 100 simulated nights without any change were called drifted; 20
leave at most 4 of 1,000."""

TAIL = 0.01
"""Fraction of held-out images that the lowest and the highest bin hold: a tenth of a night that is no skin at
all moves no decile far, and fills these."""

FEWEST_FOR_TAILS = 200
"""Held-out images from which there are such bins: two images in each."""

RARELY = 0.005
"""Fraction of held-out images that is too blurred, too dark, too bright: 1 in 200 for each."""

UNSURE = 0.05
"""Fraction of held-out images of low confidence: the least sure twentieth."""

UNLIKE = 0.01
"""Fraction of held-out images that is unlike the training images."""


class Measured(NamedTuple):
    """What is known of n images without a diagnosis. All shape (n,); float64, `predicted` int64.

    Attributes:
        brightness: mean luminance of the model's own pixels, 0 to 1 (`images.quality`).
        sharpness: variance of their Laplacian, 0 and more.
        megapixels: of the source image, width x height / 1,000,000.
        confidence: largest of the seven probabilities.
        unlike_training: the network's second output, 0 and more.
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
    """The measures of n images from what decoding and the network gave: all (n,), probabilities (n, 7)."""
    return Measured(
        brightness=np.asarray(brightness, dtype=np.float64),
        sharpness=np.asarray(sharpness, dtype=np.float64),
        megapixels=np.asarray(width, dtype=np.float64) * np.asarray(height, dtype=np.float64) / 1e6,
        confidence=probabilities.max(axis=1, initial=0.0).astype(np.float64),
        unlike_training=np.asarray(unlike_training, dtype=np.float64),
        predicted=probabilities.argmax(axis=1).astype(np.int64),
    )


Count = Annotated[StrictInt, Field(ge=0, le=2**53)]
"""Images. More are no whole numbers in float64, in which they are compared."""


class Frozen(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(frozen=True)


class Distribution(Frozen):
    """How one measure is distributed over the held-out images.

    Attributes:
        edges: k inner edges, rising; bin i holds values above edge i - 1, up to and with edge i. The first
            and the last bin are open.
        counts: images in each of the k + 1 bins.
        mean: of the images.
        median: a value with half of the images at or below it; None in bundles from before it was kept.

    """

    edges: tuple[FiniteFloat, ...] = Field(min_length=1)
    counts: tuple[Count, ...]
    mean: FiniteFloat
    median: FiniteFloat | None = None

    def middle(self) -> float:
        """The median; in older bundles what the bins say of it.

        Ten bins have an edge there, which is exact. With fewer it is interpolated within its bin, or, in an
        open one, that bin's only edge.
        """
        if self.median is not None:
            return self.median
        half, below = sum(self.counts) / 2, np.cumsum((0, *self.counts))
        place = int(np.searchsorted(below[1:], half))
        if place == 0 or place >= len(self.edges):
            return self.edges[min(place, len(self.edges) - 1)]
        # np.interp gives an edge as it stands; low + (high - low) * 1 may be the float beside it.
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
    """Beyond which values an image is flagged.

    Attributes:
        blurred: sharpness below.
        dark: brightness below.
        overexposed: brightness above.
        low_confidence: confidence below.
        unlike_training: the network's second output above.

    """

    blurred: FiniteFloat
    dark: FiniteFloat
    overexposed: FiniteFloat
    low_confidence: FiniteFloat
    unlike_training: FiniteFloat


class Usual(Frozen):
    """What images look like to the network of one precision.

    Attributes:
        images: how many held-out images this is of.
        measures: the distribution of each of MEASURES.
        predicted: images predicted as each of the seven diagnoses.
        thresholds: for flags.

    """

    images: Annotated[Count, Field(ge=1)]
    measures: dict[str, Distribution]
    predicted: Annotated[tuple[Count, ...], Field(min_length=len(DIAGNOSES), max_length=len(DIAGNOSES))]
    thresholds: Thresholds

    @model_validator(mode="after")
    def _is_whole(self) -> Usual:
        missing = [name for name in MEASURES if name not in self.measures]
        if missing:
            raise ValueError(f"no {missing[0]} among the measures")
        return self


class Reference(Frozen):
    """The file.

    Attributes:
        held_out: False where too few images were left out of the fit, and the test images, which it has seen,
            had to serve.
        precisions: a part for each network of the bundle.

    """

    held_out: bool
    precisions: dict[Precision, Usual]

    def of(self, precision: Precision, version: str) -> Usual:
        """The part of one precision. Raises RequestError where there is none."""
        if precision not in self.precisions:
            raise RequestError(f"model {version}: {REFERENCE} has no {precision}; score with --precision fp32")
        return self.precisions[precision]


_REFERENCE = TypeAdapter(Reference)


def parse_reference(data: bytes, version: str) -> Reference:
    """Check the bytes of a reference. Raises RequestError, in one line, where it is none."""
    try:
        return parse_json(_REFERENCE, data)
    except ValueError as error:
        raise RequestError(
            f"model {version}: {REFERENCE} is not a reference: {error}; train it anew"
        ) from error


def make_reference(measured: Mapping[Precision, Measured], held_out: bool) -> Reference:
    """The reference of a model from its held-out images, as each of its networks sees them."""
    return Reference(held_out=held_out, precisions={name: describe(each) for name, each in measured.items()})


def describe(measured: Measured) -> Usual:
    """Distributions and thresholds of n images, n at least 1.

    The thresholds are quantiles of the same images, each the nearest value that flags no more than its
    fraction (RARELY, UNSURE, UNLIKE) of them. With few images (under 200 for 1 in 200) that is the extreme
    one: only what lies beyond all held-out images is flagged.
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
    """How n finite values are distributed, n at least 1: in deciles and the outermost hundredths.

    In fewer bins where there are few. Ties move edges together: a measure with three values has at most three
    edges. Where the smallest value fills the first bin alone, a bin for everything below stands before it, so
    that a constant measure has three bins (less, the same, more) and any change of it is seen.
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
    """How many values lie in each bin (`Distribution`): int64 (len(edges) + 1,). NaN counts as the highest."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1).astype(np.int64)


def count_classes(predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many images are predicted as each diagnosis: int64 (7,)."""
    return np.bincount(predicted, minlength=len(DIAGNOSES)).astype(np.int64)
