"""Rows of `scores` and files as the tests of explanations need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from skinml.labels import DIAGNOSES
from skinml.schemas import SCORES
from skinml.tables import publish, write_part

NUMBERS = count()
"""No two files or transactions have the same name."""

NIGHT = datetime(2026, 11, 24, 2, tzinfo=UTC)


def score_row(image_id: str = "ISIC_0000001", **changes: Any) -> dict[str, Any]:
    """A row of `scores`; `hours` moves its time."""
    moment = NIGHT + timedelta(hours=changes.pop("hours", 0))
    row: dict[str, Any] = {
        "run_id": "score-1",
        "run_date": moment.date(),
        "image_id": image_id,
        "uri": f"file:///archive/{image_id}.jpg",
        "etag": "1-2",
        "size_bytes": 100,
        "last_modified": moment,
        "model_name": "thesis-cnn",
        "model_version": "v1",
        "predicted_dx": "nv",
        **{f"p_{name}": 0.1 for name in DIAGNOSES},
        "p_nv": 0.4,
        "p_malignant": 0.3,
        "confidence": 0.4,
        "flags": "",
        "scored_at": moment,
        "precision": "fp32",
        "width": 600,
        "height": 450,
        "sha256": "0" * 64,
    }
    return row | changes


def publish_scores(workspace: str, *rows: dict[str, Any]) -> list[str]:
    """Commit rows, one file each; the names of their files, in order."""
    files = []
    for row in rows:
        number = next(NUMBERS)
        table = pa.Table.from_pylist([row], SCORES)
        partition = {"run_date": row["run_date"].isoformat()}
        part = write_part(workspace, "scores", table, f"{row['run_id']}-{number:05d}-made", partition)
        publish(workspace, "scores", [part], f"{row['run_id']}-{number}")
        files.append(unquote(part.path))
    return files
