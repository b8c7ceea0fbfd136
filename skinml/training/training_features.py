"""The features of the training images on their way into the bundle, where `explain` finds the nearest ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skinml.dataset.pixelstore import PixelStore
from skinml.schemas import TRAINING_FEATURES
from skinml.training.resampling import Positions


def write_features(path: Path, positions: Positions, features: NDArray[np.floating]) -> None:
    """Write positions (k,) and their features (k, d), in float16: their distances stay the same to 3 digits."""
    largest = float(np.finfo(np.float16).max)
    np.savez(path, positions=positions, features=features.clip(-largest, largest).astype(np.float16))


def training_features(store: PixelStore, data: bytes) -> pa.Table:
    """The same with the images' names, labels and places.

    Args:
        store: the dataset that was fitted on.
        data: what `write_features` wrote.

    Returns:
        A table of `schemas.TRAINING_FEATURES`, one row for each position.

    """
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        positions, features = arrays["positions"], arrays["features"]
    rows = store.samples.set_index("position").loc[positions, ["image_id", "lesion_id", "dx"]]
    shards, places = store.places(positions)
    columns = {
        **{name: pa.array(rows[name], pa.string()) for name in rows},
        "shard": pa.array(shards, pa.int32()),
        "row": pa.array(places, pa.int32()),
        "features": pa.ListArray.from_arrays(
            pa.array(np.arange(len(features) + 1) * features.shape[1], pa.int32()),
            pa.array(features.reshape(-1)),
        ),
    }
    return pa.table(columns, TRAINING_FEATURES)
