"""The worst misses of a fit on its test images, with the pixels that the network saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skinml.dataset.pixelstore import PixelStore
from skinml.dataset.shard_files import map_shards
from skinml.evaluation.misses import is_dangerous, worst_misses
from skinml.labels import DIAGNOSES
from skinml.report.gallery import Miss
from skinml.training.pixels import gather
from skinml.training.resampling import Positions


def find_misses(
    store: PixelStore, positions: Positions, probabilities: NDArray[np.float64], scratch: Path
) -> list[Miss]:
    """The most confident wrong predictions, malignant taken for benign first; each image once.

    Args:
        store: where labels and pixels lie.
        positions: of the test images, shape (n,); repeats are allowed.
        probabilities: their predicted probabilities, shape (n, 7).
        scratch: a folder of this machine for copies of shards.

    """
    positions, first = np.unique(positions, return_index=True)
    labels, probabilities = store.labels[positions], probabilities[first]
    worst = worst_misses(labels, probabilities)
    shards = map_shards(store.workspace, store.dataset_key, store.stored_as, store.shards, scratch)
    names = store.samples.set_index("position")["image_id"]
    predicted = probabilities.argmax(axis=1)
    dangerous = is_dangerous(labels, predicted)
    return [
        Miss(
            pixels,
            str(names.loc[positions[row]]),
            f"{DIAGNOSES[labels[row]]} taken for {DIAGNOSES[predicted[row]]}, {probabilities[row].max():.0%}",
            bool(dangerous[row]),
        )
        for pixels, row in zip(gather(shards, positions[worst]), worst.tolist(), strict=True)
    ]
