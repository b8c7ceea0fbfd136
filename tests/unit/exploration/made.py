"""A workspace with samples whose images are there, made without `prepare`: a second in place of ten."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from skinml import tables
from skinml.labels import DIAGNOSES
from skinml.schemas import RUNS, SAMPLES
from skinml.storage.folder_listing import file_etag
from skinml.storage.urls import file_uri

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def picture(seed: int) -> bytes:
    """A small JPEG of smooth colours, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((64, 48)).save(buffer, "JPEG")
    return buffer.getvalue()


def sample(path: Path, number: int, **changes: Any) -> dict[str, Any]:
    """A row of `samples` for a new file at this path; its image is `picture(number)`."""
    data = picture(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {
        "image_id": path.stem,
        "lesion_id": f"HAM_{number // 2:07d}",
        "dx": DIAGNOSES[number % 7],
        "dx_type": ("histo", "consensus")[number % 2],
        "age": float(40 + number % 9 * 5),
        "sex": ("male", "female", None)[number % 3],
        "localization": ("back", "face", "unknown")[number % 3],
        "uri": file_uri(str(path)),
        "etag": file_etag(path.stat()),
        "size_bytes": len(data),
        "width": 64,
        "height": 48,
        "split": ("train", "val", "test")[number % 3],
        "split_group": f"HAM_{number // 2:07d}",
        "sharpness": 100.0 + number,
        "brightness": 0.5,
        "contrast": 0.2,
        "sha256": hashlib.sha256(data).hexdigest(),
        "phash": hashlib.sha256(str(number).encode()).hexdigest(),
        "metadata_row": number,
        "run_id": "prepare-1",
        "prepared_at": NOW,
        "source": ("clinic", "practice")[number % 2],
        **changes,
    }


def samples_of(folder: Path, count: int, **changes: Any) -> list[dict[str, Any]]:
    """So many rows, their images in a folder."""
    return [sample(folder / f"ISIC_{number:07d}.jpg", number, **changes) for number in range(count)]


def make_workspace(workspace: Path, rows: list[dict[str, Any]]) -> str:
    """A workspace with these samples."""
    run = {"run_id": "prepare-1", "flow": "prepare", "status": "completed", "started_at": NOW}
    tables.append(str(workspace), "runs", pa.Table.from_pylist([run], RUNS), "prepare-1")
    if rows:
        tables.append(str(workspace), "samples", pa.Table.from_pylist(rows, SAMPLES), "prepare-1")
    return str(workspace)
