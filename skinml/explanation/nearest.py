"""Find the training lesions whose images are most like an image to the network.

Tschandl et al., "Diagnostic accuracy of content-based dermatoscopic image retrieval with deep classification
features", Br. J. Dermatol. 181:155 (2019), find lesions of the same diagnosis by such features.

Features are the means of the network's cells, each standardised over the training images; the distance is one
minus their cosine. For the thesis's network on HAM10000 (8 epochs, whole lesions held out), the most frequent
label of the six nearest training images was right with a balanced accuracy of 0.40; it was 0.37 with Euclidean
distances or without standardising, and 0.38 to 0.39 with each cell's values, the largest values or the logits.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.schemas import TRAINING_FEATURES

LESIONS = 6
"""Lesions that a page shows."""

COMPARED = 256
"""Training images that say how far the nearest other lesion usually is."""

COPY = 0.01
"""Distances below this may be of the same pixels: features are kept in float16, which rounds."""


@dataclass(frozen=True)
class Neighbour:
    """One training lesion, by its nearest image.

    Attributes:
        image_id, lesion_id, dx: of that image; `dx` is its label.
        shard, row: where its pixels lie in the dataset.
        distance: 0 to 2: one minus the cosine of the angle between both features, after standardising.

    """

    image_id: str
    lesion_id: str
    dx: str
    shard: int
    row: int
    distance: float


@dataclass(frozen=True)
class Nearest:
    """The nearest training lesions, and how near lesions usually are.

    Attributes:
        lesions: nearest first.
        images: how many training images were searched.
        usual: median distance of a training image to its nearest image of another lesion; None if all are of
            one lesion.
        closer_than: fraction of training images whose nearest other lesion is further away than this image's.

    """

    lesions: list[Neighbour]
    images: int
    usual: float | None
    closer_than: float


def parse_features(data: bytes, version: str) -> tuple[pa.Table, NDArray[np.float32]]:
    """Read `training-features.parquet`: its rows, and the features (n, d).

    Raises:
        RunError: it is not such a file.

    """
    try:
        rows = pq.read_table(io.BytesIO(data), schema=TRAINING_FEATURES)
        values = rows["features"].combine_chunks().flatten().to_numpy().astype(np.float32)
        features = values.reshape(rows.num_rows, -1)
    except (pa.ArrowException, ValueError, KeyError) as error:
        problem = " ".join(str(error).split())[:200]
        raise RunError(f"model {version}: its features of training images cannot be read: {problem}") from error
    if not features.size or not np.isfinite(features).all():
        raise RunError(f"model {version}: its features of training images are empty or not finite")
    return rows, features


def nearest_lesions(
    rows: pa.Table, features: NDArray[np.floating], query: NDArray[np.floating], most: int = LESIONS
) -> Nearest:
    """The training lesions that are nearest to an image, each by its nearest image.

    Args:
        rows: of `schemas.TRAINING_FEATURES`, n of them.
        features: theirs, (n, d).
        query: the image's features, (d,).
        most: how many lesions.

    """
    if query.shape != features.shape[1:]:
        raise RunError(f"the training images have {features.shape[1]} features, this image {query.shape}")
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1.0
    known, asked = _unit((features - centre) / spread), _unit((query - centre) / spread)
    distances = 1 - known @ asked
    columns = zip(rows["lesion_id"].to_pylist(), rows["image_id"].to_pylist(), strict=True)
    lesions = np.asarray([lesion or image for lesion, image in columns], dtype=object)  # null: its own
    found: list[Neighbour] = []
    seen: set[Any] = set()
    for position in np.argsort(distances, kind="stable"):
        if lesions[position] not in seen:
            seen.add(lesions[position])
            row = rows.slice(int(position), 1).to_pylist()[0]
            row.pop("features")
            found.append(Neighbour(**row, distance=float(max(0.0, distances[position]))))
        if len(found) == most:
            break
    usual = _usual_distances(known, lesions)
    ours = found[0].distance
    if not len(usual):
        return Nearest(found, len(features), None, 0.0)
    return Nearest(found, len(features), float(np.median(usual)), float((usual > ours).mean()))


def _unit(values: NDArray[np.floating]) -> NDArray[np.floating]:
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    found: NDArray[np.floating] = values / np.maximum(lengths, 1e-12)
    return found


def _usual_distances(known: NDArray[np.floating], lesions: NDArray[np.object_]) -> NDArray[np.floating]:
    """The distance of some training images to the nearest image of another lesion."""
    chosen = np.unique(np.linspace(0, len(known) - 1, COMPARED).astype(np.int64))
    apart = 1 - known[chosen] @ known.T
    apart[lesions[chosen][:, None] == lesions[None, :]] = np.inf
    nearest = apart.min(axis=1).clip(min=0)
    known_ones: NDArray[np.floating] = nearest[np.isfinite(nearest)]
    return known_ones
