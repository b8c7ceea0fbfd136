"""What the table of scores costs as it grows: bytes a row, to read all keys, to open it, to commit to it."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.scores import drawn_listing, drawn_scores
from skinml import tables
from skinml.scoring.ledger import make_ledger, read_scored
from skinml.scoring.predict import MOST
from skinml.tables import Part

ROWS = 1_000_000
FILES = (250, 2_500, 25_000)
DAY = date(2026, 11, 24)
RUN_ID = "score-20261124T020000Z-a1b2c3"
MODEL = ("thesis-cnn", "20261124T000000Z-a1b2c3")
IN_A_COMMIT = 250
"""Files that a night over a million images publishes."""
PART_BYTES = 900_000


def measure(bench: Bench) -> Result:
    """Bytes and reading of so many rows; opening and committing at so many files."""
    folder = bench.fresh("tables")
    return {
        "rows": _rows(str(folder / "rows"), bench.count(ROWS)),
        "files": _files(str(folder / "files"), [bench.count(files) for files in FILES]),
    }


def _rows(workspace: str, rows: int) -> Result:
    say(f"table: {rows:,} rows")
    parts = []
    for number, start in enumerate(range(0, rows, MOST)):
        images = drawn_listing(start, min(MOST, rows - start))
        piece = drawn_scores(images, np.random.default_rng(start), RUN_ID, DAY, MODEL)
        parts.append(
            tables.write_part(workspace, "scores", piece, f"{number:05d}", {"run_date": DAY.isoformat()})
        )
    tables.publish(workspace, "scores", parts, "bench")
    began = time.perf_counter()
    ledger = make_ledger(read_scored(workspace, [MODEL]))
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
    """A log of many commits; the files have a size, which each commit looks at, and nothing in them."""
    found = []
    commits = there = 0
    for files in wanted:
        say(f"table: {files:,} files")
        while there < files:
            parts = [_empty_part(workspace, name) for name in range(there, min(there + IN_A_COMMIT, files))]
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


def _empty_part(workspace: str, number: int) -> Part:
    """A part of PART_BYTES, none of which takes room on the disk: nobody reads them."""
    path = f"run_date={DAY.isoformat()}/part-{number:08d}.parquet"
    file = Path(workspace, "scores", path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    os.truncate(file, PART_BYTES)
    return Part(path, PART_BYTES, MOST, {"run_date": DAY.isoformat()})


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
