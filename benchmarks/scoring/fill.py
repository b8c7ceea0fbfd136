"""Fills a workspace's `scores` with one row for each object of an archive, as nights of scoring would leave it.

    python -m benchmarks.scoring.fill WORKSPACE s3://bucket/prefix MODEL VERSION

No image is read: probabilities and measures are random numbers, which take as much room as real ones.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from benchmarks.harness.scores import drawn_scores
from skinml import tables
from skinml.schemas import LISTING
from skinml.scoring.predict import MOST
from skinml.storage.listing import list_images
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
        part = drawn_scores(images, rng, f"score-night-{night:04d}", run_date, (name, version))
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


if __name__ == "__main__":
    print(fill(*sys.argv[1:]))
