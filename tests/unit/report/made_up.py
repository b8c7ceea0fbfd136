"""What a made-up version says of itself: the manifest's fields and metrics.json, through the real functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skinml.dataset.description import describe
from skinml.evaluation.judgement import judge
from skinml.labels import DIAGNOSES
from skinml.schemas import PREDICTIONS, PROBABILITY_COLUMNS

PICTURES = (
    *("figures/loss.png", "figures/confusion_matrix.png", "figures/worst_misses.png"),
    *("figures/honest/confusion_matrix.png", "figures/honest/loss.png"),
)


def samples(lesions: int = 210) -> pd.DataFrame:
    """One to three images of each lesion, with unknown ages and sexes among them."""
    generator = np.random.default_rng(2)
    which = np.repeat(np.arange(lesions), generator.integers(1, 4, lesions))
    return pd.DataFrame(
        {
            "image_id": [f"ISIC_{number:05d}" for number in range(len(which))],
            "lesion_id": [f"HAM_{number:04d}" for number in which],
            "dx": np.array(DIAGNOSES)[which % 7],
            "dx_type": np.where(which % 2, "histo", "follow_up"),
            "age": np.where(which % 9, 20.0 + which % 60, np.nan),
            "sex": np.array(["male", "female", None], dtype=object)[which % 3],
            "localization": "back",
            "source": "made-up <script>",
            "width": 600,
            "height": 450,
            "split": np.array(["train", "train", "val", "test", "test"])[which % 5],
        }
    )


def predictions(rows: pd.DataFrame, strength: float = 4.0) -> pd.DataFrame:
    """Probabilities that favour the label, as `predictions.parquet` keeps them."""
    generator = np.random.default_rng(4)
    weights = np.full((len(rows), 7), 0.6)
    weights[np.arange(len(rows)), [DIAGNOSES.index(name) for name in rows["dx"]]] = strength
    found = rows.copy()
    for column, values in zip(
        PROBABILITY_COLUMNS, np.stack([generator.dirichlet(row) for row in weights]).T, strict=True
    ):
        found[column] = values
    found = found.assign(draws=1, image_trained_on=False, lesion_trained_on=False)
    return found.loc[:, list(PREDICTIONS.names)]


def measured(honest: bool) -> dict[str, Any]:
    """metrics.json of a version."""
    rows = predictions(samples())
    test, validation = (rows[rows["split"] == name] for name in ("test", "val"))
    one = {
        **judge(test, validation, resamples=50),
        "leakage": {"image": 0.0, "lesion": 0.0},
        "history": {"loss": [1.0]},
        "best_epoch": 1,
    }
    foreign = {
        kind: {"images": 64, "flagged": 0.5, "unlike_training": 0.25, "confidence": 0.9, "malignant": 0.1}
        for kind in ("test images", "black", "noise")
    }
    found = {"protocol": "grouped", **one, "foreign": foreign}
    return {**found, "protocol": "thesis", "honest": one} if honest else found


def fields(protocol: str = "grouped", told: dict[str, str] | None = None) -> dict[str, Any]:
    """The manifest's fields of a version."""
    rows = samples()
    return {
        "name": "thesis-cnn",
        "version": "20260101T000000Z-abc123",
        "created_at": "2026-01-01T00:00:00+00:00",
        "run_id": "train-20260101T000000Z-000000",
        "protocol": protocol,
        "preprocessing": {"size": 32, "decode": "fast", "filter": "bicubic", "colour": "srgb"},
        "dataset": {
            "key": "32px-fast", "version": 3, "samples": len(rows), "description": describe(rows),
            "told": told or {},
        },
        "parameters": {"epochs": 20, "batch_size": 64, "seed": 42, "trainable_parameters": 384455},
        "libraries": {"keras": "3.0", "numpy": "2.0"},
        "architecture": {"features": "pool_1", "licence": "Apache-2.0", "weights": None},
        "precisions": {},
    }  # fmt: skip
