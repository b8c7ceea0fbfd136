"""Open and create tables, check their schema, and turn Delta's errors into one readable line."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from skinml.errors import RequestError, RunError, StorageError
from skinml.layout import table_url
from skinml.schemas import KEPT_FOR_EVER, PARTITIONS, TABLES
from skinml.storage.connection import in_words, proxy_note, s3_options
from skinml.storage.urls import is_remote

if TYPE_CHECKING:
    from deltalake import DeltaTable

REFUSED = ("lacked the necessary privileges", "lacked valid authentication", "NoSuchBucket")
"""Texts of delta-rs for 403 and 401, and of S3 for a missing bucket. Bare numbers are not searched for: a
server that was away for 5.403 s would look like a refusal."""


def open_table(workspace: str, table: str, at: int | None = None) -> DeltaTable | None:
    """Open a table at its newest version or at version `at`; None if it does not exist yet.

    Raises:
        RequestError: a column has another type than in this skinml, or the bucket refuses the key.
        RunError: the table cannot be used.
        StorageError: storage failed.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    url = table_url(workspace, table)
    try:
        with explained(url):
            delta = DeltaTable(url, version=at, storage_options=_options(url))
    except TableNotFoundError:
        return None
    _check_types(delta, table, url)
    return delta


def check_table(workspace: str, table: str) -> None:
    """Check that a table can be read and appended to, before a run begins. Raises as `open_table`."""
    open_table(workspace, table)


def make_table(workspace: str, table: str) -> DeltaTable:
    """Create a table, or open the one that another writer has created in the meantime."""
    from deltalake import DeltaTable
    from deltalake.exceptions import CommitFailedError

    url = table_url(workspace, table)
    # Delta deletes log entries after 30 days, even if their files are still needed.
    settings = {"delta.logRetentionDuration": "interval 36500 days"} if table in KEPT_FOR_EVER else None
    try:
        with explained(url):
            return DeltaTable.create(
                url,
                schema=TABLES[table],
                partition_by=PARTITIONS.get(table),
                configuration=settings,
                storage_options=_options(url),
            )
    except (CommitFailedError, RunError):
        delta = open_table(workspace, table)
        if delta is None:
            raise
        return delta


def add_columns(delta: DeltaTable, table: str) -> None:
    """Add the missing columns to a table of an older skinml; they are null in its rows."""
    from deltalake import Schema

    known = {field.name for field in delta.schema().fields}
    missing = [field for field in Schema.from_arrow(TABLES[table]).fields if field.name not in known]
    if missing:
        delta.alter.add_columns(missing)


def stored_schema(delta: DeltaTable) -> pa.Schema:
    """Return the stored schema of the table, in pyarrow's types."""
    return pa.schema(delta.schema().to_arrow())


def _check_types(delta: DeltaTable, table: str, url: str) -> None:
    """Refuse a table in which a column has another type. Missing and unknown columns are accepted."""
    found = {field.name: field.type for field in stored_schema(delta)}
    for field in TABLES[table]:
        here = found.get(field.name)
        if here is not None and _kind(here) != _kind(field.type):
            raise RequestError(
                f"{url}: column {field.name} has type {here}, this skinml expects {field.type}: a newer skinml "
                "has written it; use that version, or another workspace"
            )


def _kind(kind: pa.DataType) -> str:
    """Return a type as Delta distinguishes it, without Arrow's offset widths and units of time."""
    if pa.types.is_timestamp(kind):
        return f"timestamp {kind.tz}"
    return str(kind).removeprefix("large_").removesuffix("_view")


def _options(url: str) -> dict[str, str] | None:
    return s3_options() if is_remote(url) else None


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn deltalake's errors into one line, except those that callers in this package handle."""
    from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except OSError as error:
        text, note = str(error), proxy_note(url, error)
        words = in_words(error)
        if any(refused in text for refused in REFUSED):
            raise RequestError(
                f"{url}: access refused or no such bucket; check the AWS_* variables or AWS_PROFILE{note}"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM) or "Permission denied" in text:
            raise RequestError(f"{url}: permission denied; check who may read and write there") from error
        raise StorageError(f"{url}: {words}{note}") from error
    except DeltaError as error:
        words = in_words(error)
        if "object store" in str(error) or "Generic S3 error" in str(error):  # transient
            raise StorageError(f"{url}: {words}{proxy_note(url, error)}") from error
        raise RunError(f"{url}: this table cannot be used: {words}; restore it, or use another one") from error
