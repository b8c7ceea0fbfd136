"""Parts: Parquet files in a table's folder that are not committed yet."""

from __future__ import annotations

import io
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from skinml.layout import table_url
from skinml.schemas import PARTITIONS, TABLES
from skinml.storage.head import check_objects
from skinml.storage.objects import read_bytes, write_bytes
from skinml.storage.parquet import as_parquet
from skinml.tables.read import completed


@dataclass(frozen=True)
class Part:
    """An uncommitted Parquet file: path below the table's folder, bytes, rows, partition values."""

    path: str
    size_bytes: int
    rows: int
    partition: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name given when it was written."""
        return self.path.rsplit("/", 1)[-1].removeprefix("part-").removesuffix(".parquet")


def attempt(name: str) -> str:
    """Return a part's name that is unique to this attempt, because another attempt may still be running.

    Two attempts may have read different bytes, and a file that is in a commit must never be overwritten.
    """
    return f"{name}-{secrets.token_hex(4)}"


def write_part(
    workspace: str, table: str, rows: pa.Table, name: str, partition: Mapping[str, str] | None = None
) -> Part:
    """Write rows into a table's folder; they are not in the table until `publish`. The same name overwrites.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        rows: all columns of the table except the partition columns.
        name: file name without suffix, unique to the run, the shard and the `attempt`.
        partition: values of the partition columns, if the table has any.
    """
    partition = dict(partition or {})
    schema = _stored(table)
    data = as_parquet(rows.select(schema.names).cast(schema))
    folder = "".join(f"{column}={value}/" for column, value in partition.items())
    path = f"{folder}part-{name}.parquet"
    write_bytes(f"{table_url(workspace, table)}/{path}", data)
    return Part(path, len(data), rows.num_rows, partition)


def check_parts(workspace: str, table: str, parts: Sequence[Part]) -> None:
    """Check that each part exists with its size; it may have been written by another machine.

    Raises:
        RunError: a part is missing or has another size.
    """
    folder = table_url(workspace, table)
    check_objects({f"{folder}/{unquote(part.path)}": part.size_bytes for part in parts})


def read_parts(
    workspace: str, table: str, parts: Sequence[Part], columns: Sequence[str] | None = None
) -> pa.Table:
    """Read the rows of parts, committed or not, without the partition columns."""
    schema = _stored(table)
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    rows = [schema.empty_table()]
    for part in parts:
        rows.append(parse_part(table, read_bytes(part_url(workspace, table, part)), schema.names))
    return pa.concat_tables(rows)


def part_url(workspace: str, table: str, part: Part) -> str:
    """Return the URL of a part's file."""
    return f"{table_url(workspace, table)}/{unquote(part.path)}"


def parse_part(table: str, data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """Parse the bytes of a part; columns that an older skinml did not write are null.

    Raises pyarrow.ArrowException or OSError if it is damaged.
    """
    schema = _stored(table)
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    with pq.ParquetFile(io.BytesIO(data)) as file:  # pq.read_table raises if a column is missing
        return completed(file.read(columns=schema.names), schema)


def keep_rows(workspace: str, table: str, part: Part, kept: pa.Array) -> Part | None:
    """Write another part with only some rows of a part; None if no rows are kept.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        part: a result of `write_part`; its file stays and is never committed.
        kept: bool, one for each of its rows.
    """
    rows = read_parts(workspace, table, [part]).filter(kept)
    return write_part(workspace, table, rows, f"{part.name}-kept", part.partition) if rows.num_rows else None


def _stored(table: str) -> pa.Schema:
    """Return the schema of a part's file: all columns except the partition columns."""
    return pa.schema([column for column in TABLES[table] if column.name not in PARTITIONS.get(table, [])])
