"""Write exported rows as CSV or Parquet, piece by piece, and make the file appear whole or not at all."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from skinml.storage.objects import upload, write_bytes
from skinml.storage.urls import is_remote

FORMULA = r"^(['=+\-@\t\r\n＝＋－＠])"
"""The start of a text that a spreadsheet would execute, such as an object called `=HYPERLINK(...).jpg`, and the
`'` that escapes it: a reader gets every text back by taking one `'` from the start of those that have one."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""By this at its start, Excel knows on a double click that a CSV is UTF-8."""


def ending(url: str) -> str:
    """Return the suffix of a file in lower case."""
    return PurePosixPath(url).suffix.lower()


def beside(target: str) -> str | None:
    """Return the file that says what a CSV cannot say of itself; None for Parquet, which has metadata."""
    return f"{target}.json" if ending(target) == ".csv" else None


@contextmanager
def appearing(target: str) -> Iterator[Path]:
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


def write_parquet(pieces: Iterable[pa.Table], path: Path, schema: pa.Schema, about: Mapping[str, Any]) -> int:
    """Write rows as Parquet and return their number.

    Args:
        pieces: the rows, with the columns of the schema.
        path: the file.
        schema: its columns.
        about: its metadata; what is not text is written as JSON, what is None is left out.
    """
    rows = 0
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in about.items()
        if value is not None
    }
    schema = schema.with_metadata(texts)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for piece in pieces:
            writer.write_table(piece.replace_schema_metadata(schema.metadata))
            rows += piece.num_rows
    return rows


def write_csv(pieces: Iterable[pa.Table], path: Path, schema: pa.Schema, marked: bool) -> int:
    """Write rows as CSV in UTF-8, as `as_text` formats them, and return their number.

    Args:
        pieces: the rows, with the columns of the schema.
        path: the file.
        schema: its columns.
        marked: whether the file begins with BYTE_ORDER_MARK.
    """
    rows = 0
    with path.open("wb") as file:
        if marked:
            file.write(BYTE_ORDER_MARK)
        with pyarrow.csv.CSVWriter(file, as_text(schema.empty_table()).schema) as writer:
            for piece in pieces:
                writer.write_table(as_text(piece))
                rows += piece.num_rows
    return rows


def write_beside(target: str, about: Mapping[str, Any]) -> None:
    """Write the file of `beside`, if there is one."""
    place = beside(target)
    if place is not None:
        write_bytes(place, (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode())


def as_text(rows: pa.Table) -> pa.Table:
    """Format times as ISO 8601 in UTC, and escape texts that a spreadsheet would execute (FORMULA)."""
    for position, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            texts = pc.strftime(rows[field.name], format="%Y-%m-%dT%H:%M:%SZ")
        elif pa.types.is_string(field.type):
            texts = pc.replace_substring_regex(rows[field.name], FORMULA, r"'\1")
        else:
            continue
        rows = rows.set_column(position, field.name, texts)
    return rows
