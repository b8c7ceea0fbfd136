"""Make up rows of `scores` with values as varied as real ones, so that they take as much space."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES
from skinml.schemas import LISTING, PROBABILITY_COLUMNS, SCORES
from skinml.storage.urls import image_ids


def drawn_listing(start: int, count: int) -> pa.Table:
    """The listing (columns of LISTING) of so many objects that are not there, from number `start`."""
    generator = np.random.default_rng(start)
    numbers = range(start, start + count)
    columns = {
        "uri": [f"s3://archive/clinic/2026/{number % 365:03d}/ISIC_{number:08d}.jpg" for number in numbers],
        "etag": [f'"{digits}"' for digits in _hexadecimal(generator, count, 16)],
        "size_bytes": generator.integers(15_000, 40_000, count),
        "last_modified": [datetime.now(UTC)] * count,
    }
    return pa.table(columns).select(LISTING.names).cast(LISTING)


def drawn_scores(
    images: pa.Table, generator: np.random.Generator, run_id: str, run_date: date, model: tuple[str, str]
) -> pa.Table:
    """Rows of `scores` for these objects (columns of LISTING), by a model's name and version."""
    count = len(images)
    probabilities: NDArray[np.float64] = generator.dirichlet(np.full(7, 0.3), count).astype(np.float32)
    columns = {
        **{name: images[name] for name in LISTING.names},
        "run_id": [run_id] * count,
        "run_date": [run_date] * count,
        "image_id": image_ids(images["uri"].to_pandas()),
        "model_name": [model[0]] * count,
        "model_version": [model[1]] * count,
        "predicted_dx": np.array(DIAGNOSES)[probabilities.argmax(axis=1)],
        **dict(zip(PROBABILITY_COLUMNS, probabilities.T.astype(np.float64), strict=True)),
        "p_malignant": probabilities[:, [0, 1, 4]].sum(axis=1).astype(np.float64),
        "confidence": probabilities.max(axis=1).astype(np.float64),
        "flags": [""] * count,
        "scored_at": [datetime.now(UTC)] * count,
        "precision": ["fp32"] * count,
        "width": [600] * count,
        "height": [450] * count,
        "sharpness": generator.gamma(2.0, 100.0, count),
        "brightness": generator.random(count),
        "unlike_training": generator.gamma(2.0, 10.0, count),
        "sha256": _hexadecimal(generator, count, 32),
    }
    return pa.table(columns).select(SCORES.names).cast(SCORES)


def _hexadecimal(generator: np.random.Generator, count: int, length: int) -> list[str]:
    """So many strings of `length` random bytes, in hexadecimal."""
    return [bytes(row).hex() for row in generator.integers(0, 256, (count, length), dtype=np.uint8)]
