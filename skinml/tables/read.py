"""Read tables, whole or in pieces, and their versions, files, transactions and commit notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from skinml.schemas import TABLES
from skinml.storage.urls import is_remote
from skinml.tables.connection import explained, open_table, stored_schema

if TYPE_CHECKING:
    from deltalake import DeltaTable

NOTE = "skinml"
"""The key in a commit's metadata under which `publish` stores its note."""

FILES_AHEAD = 2
"""Files, or row groups of a large file, that are fetched ahead of their use."""

FILES_AT_ONCE = 64
"""Files that are open at the same time: the footer of a file of `scores` takes 60 kB."""

LARGE_BYTES = 8 * 2**20
"""Larger files are read by row groups: Arrow would fetch too many of them at once."""


@dataclass(frozen=True)
class Snapshot:
    """One state of a table: its version (None if there is no table yet) and its files, as relative paths."""

    version: int | None
    files: frozenset[str]


def snapshot(workspace: str, table: str) -> Snapshot:
    """Return the newest state of a table."""
    return snapshot_of(open_table(workspace, table))


def snapshot_of(delta: DeltaTable | None) -> Snapshot:
    """Return the state of an opened table."""
    if delta is None:
        return Snapshot(None, frozenset())
    folder = f"/{delta.table_uri.rstrip('/').rsplit('/', 1)[-1]}/"
    # deltalake returns whole URIs here, but gives pyarrow paths below the table, sometimes percent-encoded.
    return Snapshot(delta.version(), frozenset(unquote(uri).rpartition(folder)[2] for uri in delta.file_uris()))


def read(workspace: str, table: str, columns: Sequence[str] | None = None, at: int | None = None) -> pa.Table:
    """Read a table's rows; a table that does not exist yet has no rows.

    Args:
        workspace: normalised URL.
        table: one of TABLES: samples, scores, quarantine, runs or known_etags.
        columns: the columns to read; None for all. A column that an older skinml did not write is null.
        at: a version of the table; None for the newest.

    Example:
        >>> import pyarrow as pa, tempfile
        >>> from skinml import tables
        >>> from skinml.schemas import QUARANTINE
        >>> failure = {"uri": "file:///archive/a.jpg", "reason": "empty", "detail": "0 bytes"}
        >>> with tempfile.TemporaryDirectory() as workspace:
        ...     _ = tables.append(workspace, "quarantine", pa.Table.from_pylist([failure], QUARANTINE), "run-1")
        ...     rows = tables.read(workspace, "quarantine", ["uri", "reason"]).to_pandas()
        ...     scores = tables.read(workspace, "scores", ["image_id", "p_malignant"])
        >>> rows.to_dict("records")
        [{'uri': 'file:///archive/a.jpg', 'reason': 'empty'}]
        >>> scores.num_rows
        0
    """
    schema = _chosen(table, columns)
    delta = open_table(workspace, table, at)
    return schema.empty_table() if delta is None else rows_of(delta, schema)


def rows_of(delta: DeltaTable, schema: pa.Schema) -> pa.Table:
    """Read all rows of an opened table, with these columns."""
    there = _there(delta, schema)
    with explained(delta.table_uri):
        return completed(dataset_of(delta).to_table(columns=there), schema)


def dataset_of(delta: DeltaTable) -> Any:
    """Return an opened table as an Arrow dataset. In a folder, Arrow itself reads the files, not deltalake.

    deltalake's file system is Python code that is called from Arrow's threads. One in 12 processes that had
    read a table of 2,000 files was aborted at exit, when such a call met the end of the interpreter; and
    reading took 1.3 times as long.
    """
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    url = unquote(delta.table_uri.removeprefix("file://"))
    if is_remote(url):
        return delta.to_pyarrow_dataset()
    return delta.to_pyarrow_dataset(filesystem=SubTreeFileSystem(url, LocalFileSystem()))


def scan(
    workspace: str,
    table: str,
    columns: Sequence[str],
    but: Snapshot | None = None,
    rows: int = 65_536,
    where: pc.Expression | None = None,
) -> Iterator[pa.Table]:
    """Yield a table's rows in pieces, so that memory does not grow with the table.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        columns: the columns to read.
        but: an earlier state: only files that were added since are read.
        rows: the largest number of rows in a piece.
        where: a filter on any columns; files and row groups that cannot contain such rows are not read.

    Example:
        >>> import pyarrow as pa, pyarrow.compute as pc, tempfile
        >>> from skinml import tables
        >>> from skinml.schemas import QUARANTINE
        >>> failures = [{"uri": "a.jpg", "reason": "empty"}, {"uri": "b.jpg", "reason": "truncated"}]
        >>> with tempfile.TemporaryDirectory() as workspace:
        ...     _ = tables.append(workspace, "quarantine", pa.Table.from_pylist(failures, QUARANTINE), "run-1")
        ...     pieces = tables.scan(workspace, "quarantine", ["uri"], where=pc.field("reason") == "empty")
        ...     [piece["uri"].to_pylist() for piece in pieces]
        [['a.jpg']]
    """
    delta = open_table(workspace, table)
    if delta is None:
        return
    schema = _chosen(table, columns)
    there = _there(delta, schema)
    with explained(delta.table_uri):
        dataset = dataset_of(delta)
        sizes = file_sizes(delta)
        chosen = {path: size for path, size in sizes.items() if but is None or path not in but.files}
        for batch in batches_of(dataset, chosen, there, rows, where):
            yield completed(pa.Table.from_batches([batch]), schema)


def file_sizes(delta: DeltaTable) -> dict[str, int]:
    """Return the files of an opened table and their bytes. In the log, paths are percent-encoded."""
    files = pa.table(delta.get_add_actions())
    return dict(zip(map(unquote, files["path"].to_pylist()), files["size_bytes"].to_pylist(), strict=True))


def batches_of(
    dataset: Any,
    sizes: Mapping[str, int],
    columns: Sequence[str],
    rows: int,
    where: pc.Expression | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some of a dataset's files.

    Args:
        dataset: the result of `dataset_of`.
        sizes: the files in the order in which to read them, and their bytes.
        columns: the columns to read.
        rows: the largest number of rows in a batch.
        where: a filter on rows.
    """
    from pyarrow.dataset import FileSystemDataset

    # A fragment keeps its file's footer in memory, so each is made only when it is read.
    found = {
        unquote(fragment.path): (fragment.path, fragment.partition_expression)
        for fragment in dataset.get_fragments(filter=where)
    }
    wanted = [path for path in sizes if path in found]
    for start in range(0, len(wanted), FILES_AT_ONCE):
        fragments: list[Any] = []
        for path in wanted[start : start + FILES_AT_ONCE]:
            file, partition = found[path]
            fragment = dataset.format.make_fragment(file, dataset.filesystem, partition)
            fragments += fragment.split_by_row_group() if sizes[path] > LARGE_BYTES else [fragment]
        # Without Arrow's threads, which would read up to 1 GiB ahead of a slow consumer: for a million scores
        # in 245 files, 88 MB waited instead of 9; in one file, 330 instead of 73 (by row groups). Files ahead
        # are opened and fetched all the same.
        yield from FileSystemDataset(fragments, dataset.schema, dataset.format, dataset.filesystem).to_batches(
            columns=list(columns),
            filter=where,
            batch_size=rows,
            batch_readahead=1,
            fragment_readahead=FILES_AHEAD,
            use_threads=False,
        )


def gathered(pieces: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Join small pieces to at least this many rows, for example for a row group."""
    waiting: list[pa.Table] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(one.num_rows for one in waiting) >= rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def version(workspace: str, table: str) -> int | None:
    """Return the newest version of a table; None if it does not exist yet."""
    delta = open_table(workspace, table)
    return None if delta is None else delta.version()


def transactions(workspace: str, table: str, wanted: Sequence[str]) -> set[str]:
    """Return which of these transactions are in the table."""
    delta = open_table(workspace, table)
    if delta is None:
        return set()
    return {transaction for transaction in wanted if delta.transaction_version(transaction) is not None}


def notes(workspace: str, table: str, commits: int) -> list[str]:
    """Return the notes of a table's last commits, newest first; commits without a note are left out."""
    delta = open_table(workspace, table)
    if delta is None:
        return []
    with explained(delta.table_uri):
        return [str(commit[NOTE]) for commit in delta.history(limit=commits) if NOTE in commit]


def _chosen(table: str, columns: Sequence[str] | None) -> pa.Schema:
    schema = TABLES[table]
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def _there(delta: DeltaTable, schema: pa.Schema) -> list[str]:
    """Return which of these columns the table has."""
    known = set(stored_schema(delta).names)
    return [name for name in schema.names if name in known]


def completed(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the rows with all columns of the schema, in its types; missing columns are null."""
    for field in schema:
        if field.name not in rows.schema.names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(schema.names).cast(schema)
