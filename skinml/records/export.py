"""Export the scores of one run to a CSV or Parquet file, piece by piece, so that memory does not grow."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from skinml import DISCLAIMER, tables
from skinml.errors import RequestError, RunError
from skinml.schemas import SCORES
from skinml.storage.connection import explained
from skinml.storage.objects import exists, upload
from skinml.storage.urls import is_remote, normalise

FLOWS = ("score", "replay")
"""Flows that write `scores`."""

ENDINGS = (".csv", ".parquet")

ROWS_AT_ONCE = 16_384

FORMULA = r"^([=+\-@\t\r])"
"""The start of a cell that a spreadsheet would execute: an object may be called `=HYPERLINK(...).jpg`."""


def check_target(out: str) -> str:
    """Return the normalised URL of a file that does not exist yet and can be written.

    Raises:
        RequestError: its suffix is not in ENDINGS, it exists already, or its folder does not exist.
    """
    target = normalise(out)
    if _ending(target) not in ENDINGS:
        raise RequestError(f"--out {out}: not a supported format; the file name must end in .csv or .parquet")
    if exists(target):
        raise RequestError(f"--out {out}: exists already and is not overwritten; give another name")
    if not is_remote(target) and not Path(target).parent.is_dir():
        raise RequestError(f"--out {out}: there is no folder {Path(target).parent}; create it first")
    return target


def export_scores(workspace: str, run: dict[str, Any], target: str) -> int:
    """Write all rows of `scores` that a run has added to one file.

    The file is written atomically. A Parquet file has the columns of SCORES; its metadata hold the run_id and
    the notice about research use. A CSV file has the same columns: times are ISO 8601 in UTC, null is an empty
    cell, and a text that begins like a formula gets a `'` before it (only an image_id can; its uri is beside it
    unchanged).

    Args:
        workspace: normalised URL.
        run: the run's row in `runs`, from `find_run`.
        target: the URL from `check_target`.

    Returns:
        The number of rows.

    Raises:
        RunError: the number of rows differs from the run's count.

    Example:
        >>> import pandas as pd, pyarrow as pa, tempfile
        >>> from datetime import UTC, date, datetime
        >>> from skinml.tables.parts import write_part
        >>> night = datetime(2026, 11, 24, 2, tzinfo=UTC)
        >>> run = {"run_id": "score-1", "started_at": night, "status": "completed", "done": 1}
        >>> row = {"run_id": "score-1", "run_date": night.date(), "image_id": "ISIC_0024306", "p_mel": 0.9}
        >>> with tempfile.TemporaryDirectory() as workspace:
        ...     rows = pa.Table.from_pylist([row], SCORES)
        ...     part = write_part(workspace, "scores", rows, "part-1", {"run_date": "2026-11-24"})
        ...     _ = tables.publish(workspace, "scores", [part], "score-1")
        ...     target = check_target(f"{workspace}/night.csv")
        ...     written = export_scores(workspace, run, target)
        ...     shown = pd.read_csv(target)[["image_id", "p_mel"]].to_dict("records")
        >>> written, shown
        (1, [{'image_id': 'ISIC_0024306', 'p_mel': 0.9}])
    """
    where = pc.equal(pc.field("run_date"), run["started_at"].date()) & pc.equal(
        pc.field("run_id"), run["run_id"]
    )
    pieces = tables.gathered(tables.scan(workspace, "scores", SCORES.names, where=where), ROWS_AT_ONCE)
    with explained(target), _appearing(target) as path:
        write = _write_csv if _ending(target) == ".csv" else _write_parquet
        rows = write(pieces, path, run["run_id"])
        if run["status"] == "completed" and rows != run["done"]:
            raise RunError(
                f"run {run['run_id']} has scored {run['done']} images but {rows} rows are in scores; export "
                "again, and report this if it happens twice"
            )
    return rows


@contextmanager
def _appearing(target: str) -> Iterator[Path]:
    """Give a path to write to; at the end of the block its file becomes the target atomically."""
    if is_remote(target):
        with TemporaryDirectory(prefix="skinml-export-") as folder:
            path = Path(folder, "file")
            yield path
            upload(path, target)
        return
    path = Path(target).with_name(f".{Path(target).name}.{secrets.token_hex(4)}")
    try:
        yield path
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)


def _write_parquet(pieces: Iterator[pa.Table], path: Path, run_id: str) -> int:
    rows = 0
    schema = SCORES.with_metadata({"notice": DISCLAIMER, "run_id": run_id})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for piece in pieces:
            writer.write_table(piece.replace_schema_metadata(schema.metadata))
            rows += piece.num_rows
    return rows


def _write_csv(pieces: Iterator[pa.Table], path: Path, _: str) -> int:
    rows = 0
    schema = as_text(SCORES.empty_table()).schema
    with pyarrow.csv.CSVWriter(path, schema) as writer:
        for piece in pieces:
            writer.write_table(as_text(piece))
            rows += piece.num_rows
    return rows


def as_text(rows: pa.Table) -> pa.Table:
    """Format times as ISO 8601 in UTC, and escape texts that a spreadsheet would execute."""
    for position, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            texts = pc.strftime(rows[field.name], format="%Y-%m-%dT%H:%M:%SZ")
        elif pa.types.is_string(field.type):
            texts = pc.replace_substring_regex(rows[field.name], FORMULA, r"'\1")
        else:
            continue
        rows = rows.set_column(position, field.name, texts)
    return rows


def _ending(url: str) -> str:
    return PurePosixPath(url).suffix.lower()
