"""The scores of one run as a CSV or Parquet file, in pieces, so that memory does not grow with the run."""

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
"""How a cell begins that a spreadsheet would run: an object may be called `=HYPERLINK(...).jpg`."""


def check_target(out: str) -> str:
    """The normalised URL of a file that can be written and is not there yet.

    Raises:
        RequestError: its ending is none of ENDINGS, it is there already, or its folder is not.
    """
    target = normalise(out)
    if _ending(target) not in ENDINGS:
        raise RequestError(f"--out {out}: the ending says the format, and only .csv and .parquet are written")
    if exists(target):
        raise RequestError(f"--out {out}: is there already and is not overwritten; name another file")
    if not is_remote(target) and not Path(target).parent.is_dir():
        raise RequestError(f"--out {out}: no folder {Path(target).parent}; make it first")
    return target


def export_scores(workspace: str, run: dict[str, Any], target: str) -> int:
    """Write all rows of `scores` that a run has added.

    The file appears whole or not at all. A Parquet file has the columns of SCORES, and says in its metadata
    which run it is of and what it may be used for. A CSV file has the same columns: times as ISO 8601 in UTC,
    null as an empty cell, and texts that begin like a formula with a `'` before them (that can only be an
    image_id, and its uri is beside it as it is).

    Args:
        workspace: normalised URL.
        run: its row in `runs`.
        target: as `check_target` returned it.

    Returns:
        How many rows there are.

    Raises:
        RunError: they are not as many as the run has counted.
    """
    where = pc.equal(pc.field("run_date"), run["started_at"].date()) & pc.equal(
        pc.field("run_id"), run["run_id"]
    )
    pieces = tables.gathered(tables.scan(workspace, "scores", SCORES.names, where=where), ROWS_AT_ONCE)
    with explained(target), _appearing(target) as path:
        write = _write_csv if _ending(target) == ".csv" else _write_parquet
        rows = write(pieces, path, run["run_id"])
        if run["status"] == "completed" and rows != run["done"]:
            raise RunError(f"run {run['run_id']} has scored {run['done']} images but {rows} rows are in scores")
    return rows


@contextmanager
def _appearing(target: str) -> Iterator[Path]:
    """A path to write to; what is there in the end becomes the target all at once."""
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
    schema = _as_text(SCORES.empty_table()).schema
    with pyarrow.csv.CSVWriter(path, schema) as writer:
        for piece in pieces:
            writer.write_table(_as_text(piece))
            rows += piece.num_rows
    return rows


def _as_text(rows: pa.Table) -> pa.Table:
    """Times as ISO 8601 in UTC, and no text that a spreadsheet would run."""
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
