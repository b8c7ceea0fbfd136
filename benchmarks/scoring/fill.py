"""Fills a workspace's `scores` with one row for each object of an archive, as nights of scoring would leave it.

    python -m benchmarks.scoring.fill WORKSPACE s3://bucket/prefix MODEL VERSION

No image is read: probabilities and measures are random numbers, which take as much room as real ones.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from skinml import tables
from skinml.labels import DIAGNOSES
from skinml.schemas import LISTING, PROBABILITY_COLUMNS, SCORES
from skinml.scoring.predict import MOST
from skinml.storage.listing import list_images
from skinml.storage.urls import image_ids
from skinml.tables import Part

NIGHT = 8
"""Parts a commit: 32,768 images a night."""

FIRST_NIGHT = date(2026, 10, 1)


def fill(workspace: str, archive: str, name: str, version: str) -> int:
    """Publish the rows of all objects, night by night; how many there are."""
    rng = np.random.default_rng(8)
    rows = night = 0
    parts: list[Part] = []
    for number, images in enumerate(_cut(archive, MOST)):
        run_date = FIRST_NIGHT + timedelta(days=night)
        part = _score(images, rng, name, version, f"score-night-{night:04d}")
        partition = {"run_date": run_date.isoformat()}
        parts.append(tables.write_part(workspace, "scores", part, f"{number:06d}", partition))
        rows += len(images)
        if len(parts) == NIGHT:
            tables.publish(workspace, "scores", parts, f"score-night-{night:04d}")
            parts, night = [], night + 1
    if parts:
        tables.publish(workspace, "scores", parts, f"score-night-{night:04d}")
    return rows


def _cut(archive: str, rows: int) -> Iterator[pa.Table]:
    """The archive's listing, so many objects at a time."""
    waiting = LISTING.empty_table()
    for listed in list_images(archive):
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([listed.images], LISTING)])
        while len(waiting) >= rows:
            yield waiting.slice(0, rows)
            waiting = waiting.slice(rows)
    if len(waiting):
        yield waiting


def _score(images: pa.Table, rng: np.random.Generator, name: str, version: str, run_id: str) -> pa.Table:
    """Rows of `scores` with made-up numbers for these objects (columns of LISTING)."""
    probabilities = rng.dirichlet(np.ones(len(DIAGNOSES)), len(images))
    given = {
        **{column: images[column] for column in LISTING.names},
        "run_id": [run_id] * len(images),
        "image_id": image_ids(images["uri"].to_pandas()),
        "model_name": [name] * len(images),
        "model_version": [version] * len(images),
        "predicted_dx": np.array(DIAGNOSES)[probabilities.argmax(axis=1)],
        **dict(zip(PROBABILITY_COLUMNS, probabilities.T, strict=True)),
        "p_malignant": rng.random(len(images)),
        "confidence": probabilities.max(axis=1),
        "flags": [""] * len(images),
        "scored_at": [datetime.now(UTC)] * len(images),
        "precision": ["fp32"] * len(images),
        "width": [600] * len(images),
        "height": [450] * len(images),
        **{column: rng.random(len(images)) for column in ("sharpness", "brightness", "unlike_training")},
    }
    empty = pa.nulls(len(images))
    return pa.table({field.name: pa.array(given.get(field.name, empty)) for field in SCORES})


if __name__ == "__main__":
    print(fill(*sys.argv[1:]))
