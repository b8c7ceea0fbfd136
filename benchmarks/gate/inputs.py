"""Draw test sets from real predictions: two models that are equal, or one of them better by a known gain.

The real predictions are those of several fits of one recipe that differ in their seed alone. A drawn champion
has for each lesion the predictions of one fit, the challenger those of another one, and which is whose is
chance. So neither is better, and they disagree as much as two fits do.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml import tables
from skinml.evaluation.weighted import predicted_classes
from skinml.labels import DIAGNOSES, encode
from skinml.models import registry
from skinml.models.judged import read_judged_predictions
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.storage.urls import normalise

GROUPS = ["age", "sex", "localization", "source"]


@dataclass(frozen=True, eq=False)
class Pool:
    """The predictions of r fits for n images of k lesions; images of one lesion stand together.

    Attributes:
        labels: class numbers, shape (n,).
        probabilities: shape (r, n, 7).
        starts: the first image of each lesion, and n at the end, shape (k + 1,).
        groups: age, sex, localization, source of each image.

    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    starts: NDArray[np.int64]
    groups: pd.DataFrame

    @property
    def fits(self) -> int:
        """How many fits there are."""
        return len(self.probabilities)

    @property
    def lesions(self) -> int:
        """How many lesions there are."""
        return len(self.starts) - 1

    def lesion_labels(self) -> NDArray[np.int64]:
        """The class number of each lesion, shape (k,)."""
        return self.labels[self.starts[:-1]]

    @cached_property
    def right(self) -> NDArray[np.float64]:
        """How many images of each lesion each fit has right, shape (r, k)."""
        each = [predicted_classes(self.labels, one) == self.labels for one in self.probabilities]
        return np.add.reduceat(np.array(each, np.float64), self.starts[:-1], axis=1)


def pool_of(frames: list[pd.DataFrame]) -> Pool:
    """Gather frames of the same test images (`schemas.PREDICTIONS`), one for each fit."""
    frames = [one.sort_values(["lesion_id", "image_id"], ignore_index=True) for one in frames]
    first = frames[0]
    if any(one["image_id"].tolist() != first["image_id"].tolist() for one in frames):
        raise SystemExit("the runs do not have the same test images: name a workspace with runs of one dataset")
    starts = np.flatnonzero(first["lesion_id"] != first["lesion_id"].shift())
    return Pool(
        labels=encode(first["dx"]),
        probabilities=np.stack([one[list(PROBABILITY_COLUMNS)].to_numpy(np.float64) for one in frames]),
        starts=np.append(starts, len(first)),
        groups=first[GROUPS],
    )


def read_pool(workspace: Path) -> Pool:
    """The test images of all versions in a workspace, with the subgroups of its table `samples`."""
    url = normalise(str(workspace))
    samples = tables.read(url, "samples", ["image_id", *GROUPS]).to_pandas()
    frames = []
    for version in registry.versions(url):
        rows = read_judged_predictions(url, registry.find(url, version))
        rows = rows.loc[rows["split"] == "test"].drop(columns=GROUPS, errors="ignore")
        frames.append(rows.merge(samples, on="image_id", how="left"))
    if len(frames) < 2:
        raise SystemExit(f"{workspace} has {len(frames)} versions, not two or more: run `make results` there")
    return pool_of(frames)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A test set of m lesions and which fit each model's predictions of a lesion are from.

    Attributes:
        lesions: numbers of the pool's lesions, shape (m,); a number may be there twice, as two lesions.
        fits: shape (models, m), numbers of fits.
        mended: lesions whose wrong images the last model has right all the same, shape (m,).

    """

    lesions: NDArray[np.int64]
    fits: NDArray[np.int64]
    mended: NDArray[np.bool_]


def draw_pair(pool: Pool, lesions: int, gain: float, generator: np.random.Generator) -> Drawn:
    """Draw a test set and two models of which the second one is better by `gain` in every diagnosis.

    Args:
        pool: real predictions.
        lesions: of the test set, drawn from all diagnoses together.
        gain: in sensitivity; less if a diagnosis has not so many images wrong (`true_gain`).
        generator: of everything.

    """
    chosen = generator.integers(0, pool.lesions, lesions)
    first = generator.integers(0, pool.fits, lesions)
    second = (first + generator.integers(1, pool.fits, lesions)) % pool.fits
    mended = generator.random(lesions) < mending(pool, gain)[pool.lesion_labels()[chosen]]
    return Drawn(chosen, np.stack([first, second]), mended)


def mending(pool: Pool, gain: float) -> NDArray[np.float64]:
    """The share of each diagnosis's lesions to mend so that its sensitivity rises by `gain`, shape (7,)."""
    return np.minimum(1.0, np.divide(gain, _wrong(pool), out=np.ones(len(DIAGNOSES)), where=_wrong(pool) > 0))


def true_gain(pool: Pool, gain: float) -> float:
    """The gain in balanced accuracy that `draw_pair` makes."""
    return float(np.minimum(_wrong(pool), gain).mean())


def _wrong(pool: Pool) -> NDArray[np.float64]:
    """The share of each diagnosis's images that a fit has wrong, in the mean, shape (7,)."""
    right, images = pool.right.mean(axis=0), np.diff(pool.starts)
    labels, count = pool.lesion_labels(), len(DIAGNOSES)
    return 1 - np.bincount(labels, right, count) / np.maximum(1, np.bincount(labels, images, count))


def z_of_gain(pool: Pool, drawn: Drawn, champion: int, challenger: int) -> float:
    """The gain in balanced accuracy in standard errors (linearised ratio means), to sort out hopeless cases.

    Models are rows of `drawn.fits`.
    """
    images = np.diff(pool.starts)[drawn.lesions].astype(np.float64)
    first, second = (_right_of(pool, drawn, model, images) for model in (champion, challenger))
    gained = second - first
    labels = pool.lesion_labels()[drawn.lesions]
    count = len(DIAGNOSES)
    total = np.bincount(labels, images, count)
    mean = np.bincount(labels, gained, count) / np.maximum(1, total)
    squares = np.bincount(labels, (gained - mean[labels] * images) ** 2, count)
    error = np.sqrt((squares / np.maximum(1, total) ** 2).sum())
    return float(mean.sum() / error) if error > 0 else 0.0


def _right_of(pool: Pool, drawn: Drawn, model: int, images: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many images of each drawn lesion a model has right, shape (m,)."""
    right = pool.right[drawn.fits[model], drawn.lesions]
    return np.where(drawn.mended, images, right) if model == len(drawn.fits) - 1 else right


def frame_of(pool: Pool, drawn: Drawn, model: int) -> pd.DataFrame:
    """The predictions of one model as the gate takes them; the last one has its mended lesions right."""
    counts = np.diff(pool.starts)[drawn.lesions]
    numbers = np.repeat(np.arange(len(drawn.lesions)), counts)
    place = np.arange(len(numbers)) - np.repeat(np.cumsum(counts) - counts, counts)
    images = pool.starts[drawn.lesions][numbers] + place
    probabilities = pool.probabilities[drawn.fits[model][numbers], images]
    labels = pool.labels[images]
    if model == len(drawn.fits) - 1:
        wrong = drawn.mended[numbers] & (predicted_classes(labels, probabilities) != labels)
        rows, highest = np.flatnonzero(wrong), probabilities.argmax(axis=1)[wrong]
        truth = probabilities[rows, labels[rows]].copy()
        probabilities[rows, labels[rows]] = probabilities[rows, highest]
        probabilities[rows, highest] = truth
    found: pd.DataFrame = pool.groups.iloc[images].reset_index(drop=True)
    found["image_id"] = [f"image-{number}" for number in range(len(numbers))]
    found["lesion_id"] = [f"lesion-{number}" for number in numbers]
    found["dx"] = np.array(DIAGNOSES)[labels]
    found[list(PROBABILITY_COLUMNS)] = probabilities
    return found


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that name the predictions, and how many processes there are."""
    from dask.system import CPU_COUNT

    parser.add_argument(
        "--workspace", type=Path, help="with two or more runs of one recipe (default: that of `make results`)"
    )
    parser.add_argument("--workers", type=int, default=CPU_COUNT, help="processes")
