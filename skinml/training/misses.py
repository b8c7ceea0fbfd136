"""The worst misses of a fit on its test images, with the pixels that the network saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skinml.dataset.pixelstore import PixelStore
from skinml.dataset.some_pixels import read_some
from skinml.evaluation.misses import worst_misses
from skinml.report.gallery import Miss, make_misses
from skinml.training.resampling import Positions


def find_misses(store: PixelStore, positions: Positions, probabilities: NDArray[np.float64]) -> list[Miss]:
    """The most confident wrong predictions, malignant taken for benign first; each image once.

    Only the shards of these few images are read: a fit elsewhere leaves no copies of the others here.

    Args:
        store: where labels and pixels lie.
        positions: of the test images, shape (n,); repeats are allowed.
        probabilities: their predicted probabilities, shape (n, 7).

    """
    positions, first = np.unique(positions, return_index=True)
    labels, probabilities = store.labels[positions], probabilities[first]
    worst = worst_misses(labels, probabilities)
    shards, rows = store.places(positions[worst])
    pixels = read_some(
        store.workspace, store.dataset_key, list(zip(shards.tolist(), rows.tolist(), strict=True))
    )
    names = store.samples.set_index("position").loc[positions[worst], "image_id"]
    return make_misses(worst, labels, probabilities, list(names), pixels)
