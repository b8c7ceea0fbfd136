"""The only user of deltalake: write parts, publish them once, read, versions.

A part is a Parquet file in the table's folder. Nobody sees it until `publish` names it in a commit, so
workers write rows where they are made and the driver passes on names and counts. A commit carries the run's
id as an application transaction: published again, it changes nothing.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from skinml.errors import RequestError, RunError, StorageError
from skinml.schemas import PARTITIONS, TABLES
from skinml.storage.connection import s3_options
from skinml.storage.objects import read_bytes, write_bytes
from skinml.storage.urls import is_remote
from skinml.workspace import table_url

if TYPE_CHECKING:
    from deltalake import DeltaTable

ATTEMPTS = 20
"""Writers that may get in between before a commit gives up; delta-rs already retries plain appends itself."""


@dataclass(frozen=True)
class Part:
    """A Parquet file that waits to be published: path below the table's folder, bytes, rows, partition."""

    path: str
    size_bytes: int
    rows: int
    partition: Mapping[str, str] = field(default_factory=dict)


def write_part(
    workspace: str, table: str, rows: pa.Table, name: str, partition: Mapping[str, str] | None = None
) -> Part:
    """Write rows into a table's folder, unseen until published. The same name again replaces the file.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        rows: all of the table's columns but the partition's.
        name: file name without ending, unique to the run and the shard.
        partition: values of the partition columns, for a table that has them.
    """
    partition = dict(partition or {})
    kept = [column for column in TABLES[table] if column.name not in PARTITIONS.get(table, [])]
    buffer = io.BytesIO()
    pq.write_table(
        rows.select([column.name for column in kept]).cast(pa.schema(kept)), buffer, compression="zstd"
    )
    folder = "".join(f"{column}={value}/" for column, value in partition.items())
    path = f"{folder}part-{name}.parquet"
    write_bytes(f"{table_url(workspace, table)}/{path}", buffer.getvalue())
    return Part(path, buffer.tell(), rows.num_rows, partition)


def publish(workspace: str, table: str, parts: Sequence[Part], transaction: str) -> int | None:
    """Make parts visible, all in one commit and at most once for a transaction.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        parts: what `write_part` returned; without any there is no commit.
        transaction: the run's id. What it published before stays, and nothing is added.

    Returns:
        The table's version afterwards; None where there is no table and nothing to publish.
    """
    from deltalake import CommitProperties, Schema, Transaction
    from deltalake.transaction import AddAction, RemoveAction

    if not parts:
        return version(workspace, table)
    actions: list[AddAction | RemoveAction] = [
        AddAction(
            part.path,
            part.size_bytes,
            dict(part.partition),
            int(time.time() * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": part.rows}),
        )
        for part in parts
    ]
    properties = CommitProperties(app_transactions=[Transaction(transaction, 1)])

    def commit(delta: DeltaTable) -> None:
        delta.create_write_transaction(
            actions,
            mode="append",
            schema=Schema.from_arrow(TABLES[table]),
            partition_by=PARTITIONS.get(table),
            commit_properties=properties,
        )

    return _commit_once(workspace, table, transaction, commit)


def read_parts(
    workspace: str, table: str, parts: Sequence[Part], columns: Sequence[str] | None = None
) -> pa.Table:
    """The rows of parts, published or not, of a table without partitions."""
    schema = TABLES[table]
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    rows = [schema.empty_table()]
    for part in parts:
        data = read_bytes(f"{table_url(workspace, table)}/{part.path}")
        rows.append(pq.read_table(io.BytesIO(data), columns=schema.names).cast(schema))
    return pa.concat_tables(rows)


def append(workspace: str, table: str, rows: pa.Table, transaction: str) -> int | None:
    """Write and publish rows of a table without partitions, at most once for a transaction."""
    parts = [write_part(workspace, table, rows, transaction)] if rows.num_rows else []
    return publish(workspace, table, parts, transaction)


def replace(workspace: str, table: str, change: Callable[[pa.Table], pa.Table], transaction: str) -> int:
    """Put a change of a table's rows in their place, at most once for a transaction.

    Older versions stay readable. Rows that another writer adds meanwhile stay: the commit takes away only
    what `change` was given, and begins anew where another writer took some of that.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        change: all rows to those that shall be there instead; it may be called several times.
        transaction: the run's id.

    Returns:
        The table's version afterwards.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    properties = CommitProperties(app_transactions=[Transaction(transaction, 1)])

    def commit(delta: DeltaTable) -> None:
        rows = change(_rows(delta, TABLES[table])).cast(TABLES[table])
        write_deltalake(delta, rows, mode="overwrite", commit_properties=properties)

    return _commit_once(workspace, table, transaction, commit)


def _commit_once(workspace: str, table: str, transaction: str, commit: Callable[[DeltaTable], None]) -> int:
    """Commit unless the transaction is in the table already; after a conflict look again, then try again."""
    from deltalake.exceptions import CommitFailedError

    url = table_url(workspace, table)
    conflict: Exception | None = None
    for _ in range(ATTEMPTS):
        delta = _open(workspace, table) or _create(workspace, table)
        if delta.transaction_version(transaction) is None:
            try:
                with _explained(url):
                    commit(delta)
            except CommitFailedError as error:  # another writer was first, perhaps with this very transaction
                conflict = error
                continue
            delta.update_incremental()
        return delta.version()
    raise RunError(f"{url}: {ATTEMPTS} commits in a row were beaten by other writers ({conflict}); run again")


def _create(workspace: str, table: str) -> DeltaTable:
    from deltalake import DeltaTable
    from deltalake.exceptions import CommitFailedError

    url = table_url(workspace, table)
    schema, partitions = TABLES[table], PARTITIONS.get(table)
    try:
        with _explained(url):
            return DeltaTable.create(url, schema=schema, partition_by=partitions, storage_options=_options(url))
    except (CommitFailedError, RunError):  # another writer made it in the meantime
        delta = _open(workspace, table)
        if delta is None:
            raise
        return delta


def _open(workspace: str, table: str, at: int | None = None) -> DeltaTable | None:
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    url = table_url(workspace, table)
    try:
        with _explained(url):
            return DeltaTable(url, version=at, storage_options=_options(url))
    except TableNotFoundError:
        return None


def _options(url: str) -> dict[str, str] | None:
    return s3_options() if is_remote(url) else None


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what deltalake raises into one line, but for what the callers here act on themselves."""
    from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except OSError as error:
        text = str(error)
        if "403" in text or "NoSuchBucket" in text:
            raise RequestError(f"{url}: access refused or no such bucket; check the AWS_* variables") from error
        raise StorageError(f"{url}: {text.splitlines()[0]}") from error
    except DeltaError as error:
        raise RunError(f"{url}: not a table that can be used: {str(error).splitlines()[0]}") from error


def read(workspace: str, table: str, columns: Sequence[str] | None = None, at: int | None = None) -> pa.Table:
    """A table's rows, as its schema says; none where the table is not there yet.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        columns: which ones; None for all.
        at: a version of the table; None for the newest.
    """
    schema = TABLES[table]
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    delta = _open(workspace, table, at)
    return schema.empty_table() if delta is None else _rows(delta, schema)


def _rows(delta: DeltaTable, schema: pa.Schema) -> pa.Table:
    with _explained(delta.table_uri):
        return delta.to_pyarrow_table(columns=schema.names).cast(schema)


def version(workspace: str, table: str) -> int | None:
    """The newest version of a table; None where there is none yet."""
    delta = _open(workspace, table)
    return None if delta is None else delta.version()
