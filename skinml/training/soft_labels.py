"""Soft labels: what teachers say of the training images, and the targets that a student is fitted on.

Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531): a small network
fitted on the mean probabilities of an ensemble comes close to the ensemble at the cost of one network. The
teachers see each training image once, untransformed; the student sees it augmented, with the same soft label.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.dataset.pixelstore import PixelStore
from skinml.errors import RunError
from skinml.evaluation.temperature import temper
from skinml.schemas import IMAGE_VERSION, PROBABILITY_COLUMNS
from skinml.storage.objects import read_bytes, write_bytes
from skinml.training.jobs import SoftLabels
from skinml.training.resampling import Positions

ROUNDING = 5e-3
"""How far the sum of an image's stored soft labels may be from 1: float16 has three digits, and there are
seven."""


def mean_probabilities(
    predicted: Sequence[pd.DataFrame], store: PixelStore, positions: Positions, temperature: float
) -> NDArray[np.float64]:
    """The mean of the teachers' probabilities, image by image.

    Args:
        predicted: of each teacher IMAGE_VERSION and PROBABILITY_COLUMNS of the images.
        store: the student's pixels.
        positions: of the training images in it, shape (k,).
        temperature: above 1 the mean is spread over more diagnoses (`evaluation.temperature.temper`).

    Returns:
        Float64 (k, 7), rows sum to 1.

    Raises:
        RunError: a teacher has not predicted one of the images.

    """
    keys = store.samples.set_index("position").loc[positions, IMAGE_VERSION].reset_index(drop=True)
    total = np.zeros((len(positions), len(PROBABILITY_COLUMNS)))
    for number, rows in enumerate(predicted):
        found = keys.merge(rows, on=IMAGE_VERSION, how="left", validate="many_to_one")
        values = found[list(PROBABILITY_COLUMNS)].to_numpy(np.float64)
        missing = int(np.isnan(values).any(axis=1).sum())
        if missing:
            raise RunError(f"teacher {number + 1} has no pixels of {missing} training images; prepare again")
        total += values
    return temper(total / len(predicted), temperature)


def write_soft_labels(
    url: str, positions: Positions, probabilities: NDArray[np.float64], weight: float
) -> SoftLabels:
    """Put soft labels at a URL: 0.15 MB for 10,000 images."""
    buffer = io.BytesIO()
    np.savez(buffer, positions=positions.astype(np.int64), probabilities=probabilities.astype(np.float16))
    data = buffer.getvalue()
    write_bytes(url, data)
    return SoftLabels(url, hashlib.sha256(data).hexdigest(), weight)


def mix_targets(targets: NDArray[np.float32], soft: SoftLabels, train: Positions) -> NDArray[np.float32]:
    """Targets of which a part is what the teachers said.

    Args:
        targets: by position, float32 (n, 7): labels, perhaps smoothed. Only those of `train` are changed.
        soft: where the soft labels are.
        train: positions that are fitted on; each must have a soft label.

    Returns:
        A new array: weight x soft + (1 - weight) x targets at the positions of `train`.

    Raises:
        RunError: the file is another one than the job names, or lacks a training image.
        StorageError: it is not there.

    """
    data = read_bytes(soft.url)
    found = hashlib.sha256(data).hexdigest()
    if found != soft.sha256:
        raise RunError(
            f"{soft.url}: SHA-256 {found[:12]}… is not the {soft.sha256[:12]}… that the job names; train again"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        positions, probabilities = arrays["positions"], arrays["probabilities"].astype(np.float32)
    if probabilities.shape != (len(positions), targets.shape[1]) or not np.isin(train, positions).all():
        raise RunError(f"{soft.url}: has no soft label for some training images; train again")
    sums = probabilities.sum(axis=1, keepdims=True)
    if not (np.abs(sums - 1) < ROUNDING).all():
        raise RunError(f"{soft.url}: its soft labels do not sum to 1; train again")
    mixed = targets.copy()
    weight = np.float32(soft.weight)
    mixed[positions] = weight * (probabilities / sums) + (1 - weight) * targets[positions]
    return mixed
