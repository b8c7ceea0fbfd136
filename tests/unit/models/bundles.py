"""Registered versions of made-up quality: network, metrics with intervals, predictions of made-up lesions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skinml.evaluation.intervals import measure_with_intervals
from skinml.labels import DIAGNOSES, encode
from skinml.models.manifest import Manifest
from skinml.models.registry import register
from skinml.schemas import PREDICTIONS, PROBABILITY_COLUMNS
from tests.unit.models.networks import SIZE, write_network

LESIONS = 20
"""Of each diagnosis; the first half of them has two images."""


def predictions(right: float, seed: int = 0) -> pa.Table:
    """Test images of LESIONS lesions of each diagnosis, of which this fraction is predicted right."""
    generator = np.random.default_rng(seed)
    rows = []
    for number, dx in enumerate(DIAGNOSES):
        for lesion in range(LESIONS):
            for image in range(2 if lesion < LESIONS // 2 else 1):
                other = (number + generator.integers(1, 7)) % 7
                shown = number if generator.random() < right else other
                probabilities = np.full(7, 0.05)
                probabilities[shown] = 0.7
                rows.append(
                    {
                        "image_id": f"{dx}-{lesion}-{image}",
                        "lesion_id": f"{dx}-{lesion}",
                        "dx": dx,
                        "split": "test",
                        **dict(zip(PROBABILITY_COLUMNS, probabilities.tolist(), strict=True)),
                        "draws": 1,
                        "image_trained_on": False,
                        "lesion_trained_on": False,
                    }
                )
    return pa.Table.from_pylist(rows, PREDICTIONS)


def make_version(place: str, folder: Path, version: str, right: float = 0.9, **more: Any) -> Manifest:
    """Register a version of which this fraction of test images is right.

    Args:
        place: the workspace.
        folder: a scratch folder.
        version: its name.
        right: 0 to 1; a seventh is chance.
        more: fields of the manifest.
    """
    bundle = folder / "bundles" / version
    bundle.mkdir(parents=True)
    write_network(bundle / "model.onnx", features="")
    table = predictions(right, seed=sum(map(ord, version)))
    frame = table.to_pandas()
    probabilities = frame[list(PROBABILITY_COLUMNS)].to_numpy()
    metrics, intervals = measure_with_intervals(encode(frame["dx"]), frame["lesion_id"], probabilities)
    measured = {"protocol": "grouped", "metrics": metrics, "intervals": intervals}
    (bundle / "metrics.json").write_text(json.dumps(measured), encoding="utf-8")
    pq.write_table(table, bundle / "predictions.parquet")
    fields = {
        "name": "tiny",
        "version": version,
        "run_id": "train-20260101T000000Z-abcdef",
        "protocol": "grouped",
        "preprocessing": {"size": SIZE, "decode": "fast", "filter": "bicubic"},
        "dataset": {"version": 1},
        "parameters": {},
        "libraries": {},
    }
    return register(place, bundle, fields | more)
