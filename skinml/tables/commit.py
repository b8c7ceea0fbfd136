"""Commit parts to a table: all at once, once for a transaction, and only if the table has not changed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from skinml.errors import RunError
from skinml.layout import table_url
from skinml.schemas import PARTITIONS, TABLES
from skinml.tables.connection import add_columns, explained, make_table, open_table
from skinml.tables.parts import Part, attempt, check_parts, write_part
from skinml.tables.read import NOTE, Snapshot, rows_of, snapshot_of

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable
    from deltalake.transaction import AddAction

ATTEMPTS = 20
"""Conflicts with other writers before a commit gives up; delta-rs itself retries plain appends."""


def publish(
    workspace: str,
    table: str,
    parts: Sequence[Part],
    transaction: str,
    examine: Callable[[Snapshot], tuple[Sequence[Part], str]] | None = None,
) -> int | None:
    """Add parts to a table in one commit, once for a transaction.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        parts: results of `write_part`; without parts and without `examine` there is no commit.
        transaction: the run's id. If it is in the table already, nothing is added.
        examine: called with the table's state; returns the parts to publish after all, and a note for the
            commit's metadata (`tables.notes` reads it). The commit succeeds only if the table is still in that
            state; if another writer was first, `examine` is called again.

    Returns:
        The table's version afterwards; None if there is no table and nothing to publish.

    Raises:
        RunError: a part is missing or damaged, or other writers were first ATTEMPTS times.
    """
    from deltalake import Schema
    from deltalake.transaction import RemoveAction

    if not parts and examine is None:
        delta = open_table(workspace, table)
        return None if delta is None else delta.version()

    def commit(delta: DeltaTable) -> None:
        chosen, properties = parts, _properties(transaction)
        if examine is not None:
            chosen, note = examine(snapshot_of(delta))
            properties = alone(transaction, {NOTE: note})
        check_parts(workspace, table, chosen)
        actions: list[AddAction | RemoveAction] = [_add_action(part) for part in chosen]
        delta.create_write_transaction(
            actions,
            mode="append",
            schema=Schema.from_arrow(TABLES[table]),
            partition_by=PARTITIONS.get(table),
            commit_properties=properties,
        )

    return commit_once(workspace, table, transaction, commit)


def _add_action(part: Part) -> AddAction:
    from deltalake.transaction import AddAction

    stats = json.dumps({"numRecords": part.rows})
    now = int(time.time() * 1000)
    return AddAction(part.path, part.size_bytes, dict(part.partition), now, data_change=True, stats=stats)


def _properties(transaction: str) -> CommitProperties:
    """Return the properties of a commit that only adds files: other commits may come in between."""
    from deltalake import CommitProperties, Transaction

    return CommitProperties(app_transactions=[Transaction(transaction, 1)])


def alone(transaction: str, data: Mapping[str, str] | None = None) -> CommitProperties:
    """Return the properties of a commit that must fail if any other commit came in between.

    delta-rs' own conflict check is not enough if files are removed: 1.6.6 treats a compaction as no change (its
    pull request 3982), and if two commits remove the same files, the rows are in the table twice.
    """
    from deltalake import CommitProperties, Transaction

    custom = dict(data or {}) or None
    return CommitProperties(custom, max_commit_retries=0, app_transactions=[Transaction(transaction, 1)])


def append(workspace: str, table: str, rows: pa.Table, transaction: str) -> int | None:
    """Write and commit rows of a table without partitions, once for a transaction."""
    parts = [write_part(workspace, table, rows, attempt(transaction))] if rows.num_rows else []
    return publish(workspace, table, parts, transaction)


def replace(
    workspace: str,
    table: str,
    change: Callable[[pa.Table], pa.Table],
    transaction: str,
    examine: Callable[[Snapshot], tuple[Sequence[Part], str]] | None = None,
) -> int:
    """Replace a table's rows by changed ones, once for a transaction.

    Older versions stay readable. Rows that another writer adds in the meantime stay: the commit removes only
    the rows that `change` was given, and starts again if another writer was first.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        change: maps all rows to the new rows; it may be called several times.
        transaction: the run's id.
        examine: as for `publish`: it may raise to refuse the table's state. Of its result, only the note is
            used.

    Returns:
        The table's version afterwards.
    """
    from deltalake import write_deltalake

    def commit(delta: DeltaTable) -> None:
        data: dict[str, str] = {}
        if examine is not None:
            parts, data[NOTE] = examine(snapshot_of(delta))
            check_parts(workspace, table, parts)
        rows = change(rows_of(delta, TABLES[table])).cast(TABLES[table])
        write_deltalake(delta, rows, mode="overwrite", commit_properties=alone(transaction, data))

    return commit_once(workspace, table, transaction, commit)


def commit_once(workspace: str, table: str, transaction: str, commit: Callable[[DeltaTable], None]) -> int:
    """Commit unless the transaction is in the table already; after a conflict, open the table and try again."""
    from deltalake.exceptions import CommitFailedError

    url = table_url(workspace, table)
    conflict: Exception | None = None
    for _ in range(ATTEMPTS):
        delta = open_table(workspace, table) or make_table(workspace, table)
        if delta.transaction_version(transaction) is None:
            try:
                with explained(url):
                    add_columns(delta, table)
                    commit(delta)
            except CommitFailedError as error:  # another writer was first, perhaps with the same transaction
                conflict = error
                continue
            delta.update_incremental()
        return delta.version()
    raise RunError(f"{url}: other writers were first {ATTEMPTS} times in a row ({conflict}); run again")
