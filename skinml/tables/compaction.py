"""Compact a table beside other writers: merge small files in one commit, and find files that no version needs.

deltalake's own `optimize.compact` is not used: 1.6.6 commits a compaction on top of another one that removed
the same files, whatever `max_commit_retries` says, and then every row is in the table twice (50 rows became 100
in 5 of 5 tries).
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from skinml.errors import RunError
from skinml.layout import table_url
from skinml.schemas import PARTITIONS
from skinml.storage.objects import upload
from skinml.tables.commit import alone, commit_once
from skinml.tables.connection import explained, open_table
from skinml.tables.parts import Part
from skinml.tables.read import Snapshot, batches_of, dataset_of, file_sizes, gathered

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

TARGET_BYTES = 128 * 2**20
"""Files are merged up to this size; larger ones stay as they are."""

ROWS_AT_ONCE = 32_768
"""Rows in a row group, which a reader holds in memory."""

REARRANGED = "skinml-rearranged"
"""The key in the metadata of a commit that changed no row."""

Group = Sequence[Part]
"""Small files of one partition to merge, the oldest first."""


@dataclass(frozen=True)
class Size:
    """The number of files in a table's newest version, and their bytes."""

    files: int
    size_bytes: int


def table_size(workspace: str, table: str) -> Size:
    """Return the size of a table; 0 files if it does not exist yet."""
    delta = open_table(workspace, table)
    parts = [] if delta is None else _parts(delta, table)
    return Size(len(parts), sum(part.size_bytes for part in parts))


def small_files(workspace: str, table: str, target_bytes: int = TARGET_BYTES) -> list[Group]:
    """Return groups of files to merge: consecutive in time, of one partition, up to the target size."""
    delta = open_table(workspace, table)
    if delta is None:
        return []
    by_partition: dict[tuple[tuple[str, str], ...], list[Part]] = {}
    for part in _parts(delta, table):
        if part.size_bytes < target_bytes:
            by_partition.setdefault(tuple(part.partition.items()), []).append(part)
    groups = [group for parts in by_partition.values() for group in _packed(parts, target_bytes)]
    return [group for group in groups if len(group) > 1]


def _packed(parts: Iterable[Part], target_bytes: int) -> Iterator[list[Part]]:
    group: list[Part] = []
    size = 0
    for part in parts:
        if group and size + part.size_bytes > target_bytes:
            yield group
            group, size = [], 0
        group.append(part)
        size += part.size_bytes
    yield group


def put_together(
    workspace: str, table: str, groups: Sequence[Group], transaction: str, on_files: Callable[[int], None]
) -> int:
    """Write each group's rows into one file, then replace the old files by the new ones in one commit.

    Readers see the same rows before and after. Older versions stay readable, because the old files are not
    deleted. Rows that are appended in the meantime are not touched. If another writer has removed a file of a
    group, that group is left as it is.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        groups: the result of `small_files`.
        transaction: unique to this call.
        on_files: called with the number of small files that were read.

    Returns:
        The number of files that the commit replaced.
    """
    merged: list[tuple[Group, Part]] = []
    for group, new in _written(workspace, table, groups, transaction):
        merged.append((group, new))
        on_files(len(group))
    gone = 0

    def commit(delta: DeltaTable) -> None:
        nonlocal gone
        live = {part.path for part in _parts(delta, table)}
        chosen = [(group, new) for group, new in merged if live.issuperset(part.path for part in group)]
        gone = sum(len(group) for group, _ in chosen)
        if chosen:
            delta.create_write_transaction(
                [action for group, new in chosen for action in _exchange(group, new)],
                mode="append",
                schema=delta.schema(),
                partition_by=PARTITIONS.get(table),
                commit_properties=alone(transaction, {REARRANGED: transaction}),
            )

    if not merged:
        return 0
    version = commit_once(workspace, table, transaction, commit)
    _check_exchanged(workspace, table, merged, version)
    return gone


def _check_exchanged(workspace: str, table: str, merged: Sequence[tuple[Group, Part]], version: int) -> None:
    """Check that no row is in the table twice, in case deltalake spells a path differently than we do."""
    delta = open_table(workspace, table, version)
    live = set() if delta is None else {part.path for part in _parts(delta, table)}
    for group, new in merged:
        if new.path in live and not live.isdisjoint(part.path for part in group):
            raise RunError(
                f"{table_url(workspace, table)}: version {version} has the rows of {new.path} twice; restore "
                "the version before it and report this"
            )


def _written(
    workspace: str, table: str, groups: Sequence[Group], transaction: str
) -> Iterator[tuple[Group, Part]]:
    """Yield each group with the uncommitted file that has all of its rows."""
    delta = open_table(workspace, table)
    if delta is None:
        return
    with explained(delta.table_uri), TemporaryDirectory(prefix="skinml-compact-") as scratch:
        dataset = dataset_of(delta)
        live = file_sizes(delta)
        for group in groups:
            if not all(part.path in live for part in group):
                continue  # another writer has removed one in the meantime
            path = Path(scratch, f"{secrets.token_hex(4)}.parquet")
            partition = dict(group[0].partition)
            rows = _write_together(dataset, group, path)
            if rows != sum(part.rows for part in group):
                raise RunError(
                    f"{delta.table_uri}: {[part.path for part in group]} have {rows} rows, a different number "
                    "than in the log; nothing was changed, report this"
                )
            folder = "".join(f"{column}={value}/" for column, value in partition.items())
            new = Part(f"{folder}part-{transaction}-{path.name}", path.stat().st_size, rows, partition)
            upload(path, f"{table_url(workspace, table)}/{new.path}")
            path.unlink()
            yield group, new


def _write_together(dataset: Any, group: Group, path: Path) -> int:
    """Merge the rows of several files, with all columns of the table: a newer skinml may have added some."""
    schema = pa.schema([field for field in dataset.schema if field.name not in group[0].partition])
    sizes = {part.path: part.size_bytes for part in group}
    batches = batches_of(dataset, sizes, schema.names, ROWS_AT_ONCE)
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for piece in gathered((pa.Table.from_batches([batch]) for batch in batches), ROWS_AT_ONCE):
            writer.write_table(piece)
            rows += piece.num_rows
    return rows


def _exchange(group: Group, new: Part) -> list[AddAction | RemoveAction]:
    """Return the actions that replace several files by one; they say that no row changes."""
    from deltalake.transaction import AddAction, RemoveAction

    now = int(time.time() * 1000)
    stats = json.dumps({"numRecords": new.rows})
    removals = [
        RemoveAction(part.path, False, now, part.size_bytes, dict(part.partition) or None) for part in group
    ]
    addition = AddAction(new.path, new.size_bytes, dict(new.partition), now, data_change=False, stats=stats)
    return [*removals, addition]


def _parts(delta: DeltaTable, table: str) -> list[Part]:
    """Return the files of an opened table, the oldest first. In the log, paths are percent-encoded."""
    files = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    columns = PARTITIONS.get(table, [])
    return [
        Part(
            unquote(file["path"]),
            file["size_bytes"],
            file["num_records"],
            {column: str(file[f"partition.{column}"]) for column in columns},
        )
        for file in sorted(files, key=lambda file: (file["modification_time"], file["path"]))
    ]


def make_checkpoint(workspace: str, table: str) -> None:
    """Write the table's state to one file, so that readers need not replay its log."""
    delta = open_table(workspace, table)
    if delta is not None:
        with explained(delta.table_uri):
            delta.create_checkpoint()


def rearranged_only(workspace: str, table: str, before: Snapshot, now: Snapshot) -> bool:
    """Whether no commit between two states of a table changed its rows."""
    if before.version == now.version:
        return True
    delta = open_table(workspace, table, now.version)
    if delta is None or before.version is None or now.version is None or before.version > now.version:
        return False
    with explained(delta.table_uri):
        between = delta.history(limit=now.version - before.version)
    return all(REARRANGED in commit for commit in between)


def unneeded_files(workspace: str, table: str, hours: int, kept: Sequence[int] = ()) -> set[str]:
    """Return files in a table's folder that no version has needed for this many hours; delete nothing.

    Files that were never committed count by the time at which they were written, also those of a running run.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        hours: since the commit that removed a file, or since it was written.
        kept: versions whose files are always needed.
    """
    delta = open_table(workspace, table)
    if delta is None:
        return set()
    versions = [version for version in kept if _is_readable(workspace, table, version)]
    with explained(delta.table_uri):
        # The request has checked that the retention is long enough. `full` includes files that are in no log.
        found = delta.vacuum(
            hours, dry_run=True, enforce_retention_duration=False, full=True, keep_versions=versions or None
        )
    return set(found)


def _is_readable(workspace: str, table: str, version: int) -> bool:
    """Whether the table's log still contains this version; Delta keeps it for 30 days."""
    try:
        return open_table(workspace, table, version) is not None
    except RunError:
        return False
