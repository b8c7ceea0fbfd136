"""Parts: Parquet files in a table's folder that wait to be published."""

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
from skinml.tables.read import completed


@dataclass(frozen=True)
class Part:
    """A Parquet file that waits to be published: path below the table's folder, bytes, rows, partition."""

    path: str
    size_bytes: int
    rows: int
    partition: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it was called when it was written."""
        return self.path.rsplit("/", 1)[-1].removeprefix("part-").removesuffix(".parquet")


def attempt(name: str) -> str:
    """A part's name that no other attempt at the same work has, even one that is believed dead and goes on.

    Two attempts may differ in what they could read; and a file that a commit has named must stay as it is.
    """
    return f"{name}-{secrets.token_hex(4)}"


def write_part(
    workspace: str, table: str, rows: pa.Table, name: str, partition: Mapping[str, str] | None = None
) -> Part:
    """Write rows into a table's folder, unseen until published. The same name again replaces the file.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        rows: all of the table's columns but the partition's.
        name: file name without ending, unique to the run, the shard and the `attempt`.
        partition: values of the partition columns, for a table that has them.
    """
    partition = dict(partition or {})
    schema = _stored(table)
    buffer = io.BytesIO()
    pq.write_table(rows.select(schema.names).cast(schema), buffer, compression="zstd")
    folder = "".join(f"{column}={value}/" for column, value in partition.items())
    path = f"{folder}part-{name}.parquet"
    write_bytes(f"{table_url(workspace, table)}/{path}", buffer.getvalue())
    return Part(path, buffer.tell(), rows.num_rows, partition)


def check_parts(workspace: str, table: str, parts: Sequence[Part]) -> None:
    """Make sure that each part is there as it was written: its rows may have been written by another machine.

    Raises:
        RunError: one is missing or has another size.
    """
    folder = table_url(workspace, table)
    check_objects({f"{folder}/{unquote(part.path)}": part.size_bytes for part in parts})


def read_parts(
    workspace: str, table: str, parts: Sequence[Part], columns: Sequence[str] | None = None
) -> pa.Table:
    """The rows of parts, published or not, without the columns that the table is partitioned by."""
    schema = _stored(table)
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    rows = [schema.empty_table()]
    for part in parts:
        rows.append(parse_part(table, read_bytes(part_url(workspace, table, part)), schema.names))
    return pa.concat_tables(rows)


def part_url(workspace: str, table: str, part: Part) -> str:
    """Where a part's file lies."""
    return f"{table_url(workspace, table)}/{unquote(part.path)}"


def parse_part(table: str, data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows in the bytes of a part; columns that an older skinml did not write are null.

    Raises pyarrow.ArrowException or OSError if it is damaged.
    """
    schema = _stored(table)
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    with pq.ParquetFile(io.BytesIO(data)) as file:  # pq.read_table raises if a column is not there
        return completed(file.read(columns=schema.names), schema)


def keep_rows(workspace: str, table: str, part: Part, kept: pa.Array) -> Part | None:
    """A part of which only some rows remain, beside the first one, which stays unseen; None where none do.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        part: as `write_part` returned it.
        kept: bool, one for each of its rows.
    """
    rows = read_parts(workspace, table, [part]).filter(kept)
    return write_part(workspace, table, rows, f"{part.name}-kept", part.partition) if rows.num_rows else None


def _stored(table: str) -> pa.Schema:
    """What a part's file holds: all columns but those that the folder's name gives."""
    return pa.schema([column for column in TABLES[table] if column.name not in PARTITIONS.get(table, [])])
