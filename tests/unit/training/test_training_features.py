"""Tests of skinml/training/training_features.py: each image keeps its name, label, place and features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from skinml.dataset.pixelstore import PixelStore
from skinml.dataset.shard_files import Shard
from skinml.schemas import TRAINING_FEATURES
from skinml.training.training_features import training_features, write_features


def test_rows_have_the_names_and_places_of_their_positions(tmp_path: Path) -> None:
    shards = (Shard(2, 4, 10), Shard(5, 3, 10))  # numbers with gaps, as after images were replaced
    samples = pd.DataFrame(
        {
            "position": [6, 0, 3, 4],
            "image_id": ["six", "zero", "three", "four"],
            "lesion_id": ["a", "b", None, "a"],
            "dx": ["mel", "nv", "nv", "mel"],
        }
    )
    store = PixelStore("", "32px-npy", "npy", shards, samples, np.zeros(7, np.int64))
    features = np.array([[0.0, 0.5], [1e9, -1e9], [3.0, 4.0]])
    write_features(tmp_path / "features.npz", np.array([0, 4, 6]), features)
    table = training_features(store, (tmp_path / "features.npz").read_bytes())
    assert table.schema.equals(TRAINING_FEATURES)
    rows = table.to_pylist()
    assert [row["image_id"] for row in rows] == ["zero", "four", "six"]
    assert [(row["shard"], row["row"]) for row in rows] == [(2, 0), (5, 0), (5, 2)]
    assert [(row["lesion_id"], row["dx"]) for row in rows] == [("b", "nv"), ("a", "mel"), ("a", "mel")]
    largest = float(np.finfo(np.float16).max)
    assert [row["features"] for row in rows] == [[0.0, 0.5], [largest, -largest], [3.0, 4.0]]
