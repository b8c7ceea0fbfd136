"""What the table of scores costs as it grows: bytes a row, to read all keys, to open it, to commit to it."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.bench import Result, say
from skinml import tables
from skinml.labels import DIAGNOSES
from skinml.schemas import PROBABILITY_COLUMNS, SCORES
from skinml.scoring.ledger import make_ledger, read_scored
from skinml.scoring.predict import MOST
from skinml.tables import Part

DAY = date(2026, 11, 24)
IN_A_COMMIT = 250
"""Files that a night over a million images publishes."""


def rows_of(start: int, count: int) -> pa.Table:
    """Made-up rows of `scores`, with names, etags and probabilities as different as real ones."""
    generator = np.random.default_rng(start)
    probabilities: NDArray[np.float64] = generator.dirichlet(np.full(7, 0.3), count).astype(np.float32)
    numbers = range(start, start + count)
    now = datetime.now(UTC)
    columns = {
        "run_id": ["score-20261124T020000Z-a1b2c3"] * count,
        "run_date": [DAY] * count,
        "image_id": [f"ISIC_{number:08d}" for number in numbers],
        "uri": [f"s3://archive/clinic/2026/{number % 365:03d}/ISIC_{number:08d}.jpg" for number in numbers],
        "etag": [f'"{bytes(row).hex()}"' for row in generator.integers(0, 256, (count, 16), dtype=np.uint8)],
        "size_bytes": generator.integers(15_000, 40_000, count),
        "last_modified": [now] * count,
        "model_name": ["thesis-cnn"] * count,
        "model_version": ["20261124T000000Z-a1b2c3"] * count,
        "predicted_dx": np.array(DIAGNOSES)[probabilities.argmax(axis=1)],
        **dict(zip(PROBABILITY_COLUMNS, probabilities.T.astype(np.float64), strict=True)),
        "p_malignant": probabilities[:, [0, 1, 4]].sum(axis=1).astype(np.float64),
        "confidence": probabilities.max(axis=1).astype(np.float64),
        "flags": [""] * count,
        "scored_at": [now] * count,
        "precision": ["fp32"] * count,
        "width": [600] * count,
        "height": [450] * count,
        "sharpness": generator.gamma(2.0, 100.0, count),
        "brightness": generator.random(count),
        "unlike_training": generator.gamma(2.0, 10.0, count),
    }
    return pa.table(columns).select(SCORES.names).cast(SCORES)


def measure(folder: Path, rows: int, files: list[int]) -> Result:
    """Bytes and reading of so many rows; opening and committing at so many files."""
    return {"rows": _rows(str(folder / "rows"), rows), "files": _files(str(folder / "files"), files)}


def _rows(workspace: str, rows: int) -> Result:
    say(f"table: {rows:,} rows")
    parts = []
    for number, start in enumerate(range(0, rows, MOST)):
        piece = rows_of(start, min(MOST, rows - start))
        parts.append(
            tables.write_part(workspace, "scores", piece, f"{number:05d}", {"run_date": DAY.isoformat()})
        )
    tables.publish(workspace, "scores", parts, "bench")
    began = time.perf_counter()
    ledger = make_ledger(read_scored(workspace, "thesis-cnn", "20261124T000000Z-a1b2c3"))
    seconds = time.perf_counter() - began
    if len(ledger) != rows:
        raise RuntimeError(f"{len(ledger)} of {rows} keys were read")
    size = sum(part.size_bytes for part in parts)
    return {
        "rows": rows,
        "files": len(parts),
        "bytes_a_row": round(size / rows, 1),
        "read_keys_seconds": round(seconds, 2),
    }


def _files(workspace: str, wanted: list[int]) -> list[Result]:
    """A log of many commits; the files themselves are not there, since nobody reads them."""
    found = []
    commits = there = 0
    for files in wanted:
        say(f"table: {files:,} files")
        while there < files:
            names = range(there, min(there + IN_A_COMMIT, files))
            parts = [
                Part(
                    f"run_date=2026-11-24/part-{name:08d}.parquet", 900_000, MOST, {"run_date": DAY.isoformat()}
                )
                for name in names
            ]
            began = time.perf_counter()
            tables.publish(workspace, "scores", parts, f"run {commits}")
            committing = time.perf_counter() - began
            commits, there = commits + 1, there + len(parts)
        began = time.perf_counter()
        state = tables.snapshot(workspace, "scores")
        opening = time.perf_counter() - began
        if len(state.files) != files:
            raise RuntimeError(f"{len(state.files)} of {files} files are in the table")
        found.append(
            {
                "files": files,
                "rows": files * MOST,
                "open_seconds": round(opening, 3),
                "commit_seconds": round(committing, 3),
                "log_mb": round(_size(Path(workspace) / "scores" / "_delta_log") / 1e6, 1),
            }
        )
    return found


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
