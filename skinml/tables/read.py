"""Reading: all rows, or in pieces; which files and versions there are, and what commits say of themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from skinml.schemas import TABLES
from skinml.tables.connection import explained, open_table, stored_schema

if TYPE_CHECKING:
    from deltalake import DeltaTable

NOTE = "skinml"
"""The key in a commit's metadata under which `publish` puts its note."""

FILES_AHEAD = 2
BATCHES_AHEAD = 4
"""What Arrow reads before it is asked for: enough to keep storage busy, little enough to keep memory flat."""


@dataclass(frozen=True)
class Snapshot:
    """One state of a table: its version (None: there is none yet) and its files, as paths below its folder."""

    version: int | None
    files: frozenset[str]


def snapshot(workspace: str, table: str) -> Snapshot:
    """The newest state of a table."""
    return snapshot_of(open_table(workspace, table))


def snapshot_of(delta: DeltaTable | None) -> Snapshot:
    """The state that an opened table is in."""
    if delta is None:
        return Snapshot(None, frozenset())
    folder = f"/{delta.table_uri.rstrip('/').rsplit('/', 1)[-1]}/"
    # deltalake gives whole URIs here and paths below the table to pyarrow, percent-encoded or not.
    return Snapshot(delta.version(), frozenset(unquote(uri).rpartition(folder)[2] for uri in delta.file_uris()))


def read(workspace: str, table: str, columns: Sequence[str] | None = None, at: int | None = None) -> pa.Table:
    """A table's rows, as its schema says; none where the table is not there yet.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        columns: which ones; None for all. One that an older skinml did not write is empty.
        at: a version of the table; None for the newest.
    """
    schema = _chosen(table, columns)
    delta = open_table(workspace, table, at)
    return schema.empty_table() if delta is None else rows_of(delta, schema)


def rows_of(delta: DeltaTable, schema: pa.Schema) -> pa.Table:
    """All rows of an opened table, in these columns."""
    there = _there(delta, schema)
    with explained(delta.table_uri):
        return _completed(delta.to_pyarrow_table(columns=there), schema)


def scan(
    workspace: str, table: str, columns: Sequence[str], but: Snapshot | None = None, rows: int = 65_536
) -> Iterator[pa.Table]:
    """A table's rows in pieces, never all at once.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        columns: which ones.
        but: an earlier state: only files that it did not have are read.
        rows: in a piece, at most.
    """
    from pyarrow.dataset import FileSystemDataset

    delta = open_table(workspace, table)
    if delta is None:
        return
    schema = _chosen(table, columns)
    there = _there(delta, schema)
    with explained(delta.table_uri):
        dataset = delta.to_pyarrow_dataset()
        if but is not None:
            every = dataset.get_fragments()
            fragments = [fragment for fragment in every if unquote(fragment.path) not in but.files]
            dataset = FileSystemDataset(fragments, dataset.schema, dataset.format, dataset.filesystem)
        batches = dataset.to_batches(
            columns=there, batch_size=rows, batch_readahead=BATCHES_AHEAD, fragment_readahead=FILES_AHEAD
        )
        for batch in batches:
            yield _completed(pa.Table.from_batches([batch]), schema)


def version(workspace: str, table: str) -> int | None:
    """The newest version of a table; None where there is none yet."""
    delta = open_table(workspace, table)
    return None if delta is None else delta.version()


def transactions(workspace: str, table: str, wanted: Sequence[str]) -> set[str]:
    """Which of these transactions were published."""
    delta = open_table(workspace, table)
    if delta is None:
        return set()
    return {transaction for transaction in wanted if delta.transaction_version(transaction) is not None}


def notes(workspace: str, table: str, commits: int) -> list[str]:
    """The notes of a table's last commits, newest first, of those that have one."""
    delta = open_table(workspace, table)
    if delta is None:
        return []
    with explained(delta.table_uri):
        return [str(commit[NOTE]) for commit in delta.history(limit=commits) if NOTE in commit]


def _chosen(table: str, columns: Sequence[str] | None) -> pa.Schema:
    schema = TABLES[table]
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def _there(delta: DeltaTable, schema: pa.Schema) -> list[str]:
    """Which of these columns the table has."""
    known = set(stored_schema(delta).names)
    return [name for name in schema.names if name in known]


def _completed(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows in all of the schema's columns, empty where the table has them not, in its types."""
    for field in schema:
        if field.name not in rows.schema.names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(schema.names).cast(schema)
