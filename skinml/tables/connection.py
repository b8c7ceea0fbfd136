"""Opening and making tables, holding their schema against ours, and what Delta's errors mean to a person."""

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
"""What delta-rs says of 403 and 401, and S3 of a bucket that is not there. No bare numbers: ports, times and
ids are in the text, too, and a server that was away for 5.403 s would be a wrong request."""


def open_table(workspace: str, table: str, at: int | None = None) -> DeltaTable | None:
    """A table at its newest version or at one that is named; None where there is none yet.

    Raises:
        RequestError: a column is of another type than this skinml knows, or the bucket refuses the key.
        RunError: it is no table that can be used.
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
    """Refuse a table that could not be read or appended to, before anything is done. Raises as `open_table`."""
    open_table(workspace, table)


def make_table(workspace: str, table: str) -> DeltaTable:
    """Make a table, or open the one that another writer has made in the meantime."""
    from deltalake import DeltaTable
    from deltalake.exceptions import CommitFailedError

    url = table_url(workspace, table)
    # Delta forgets commits after 30 days, whatever the files that they name.
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
    """Give a table of an older skinml the columns that it lacks; its rows have nothing in them."""
    from deltalake import Schema

    known = {field.name for field in delta.schema().fields}
    missing = [field for field in Schema.from_arrow(TABLES[table]).fields if field.name not in known]
    if missing:
        delta.alter.add_columns(missing)


def stored_schema(delta: DeltaTable) -> pa.Schema:
    """The schema that the table itself has, in pyarrow's types."""
    return pa.schema(delta.schema().to_arrow())


def _check_types(delta: DeltaTable, table: str, url: str) -> None:
    """Columns that are missing or unknown do no harm: they are empty in somebody's rows. Other types do."""
    found = {field.name: field.type for field in stored_schema(delta)}
    for field in TABLES[table]:
        here = found.get(field.name)
        if here is not None and _kind(here) != _kind(field.type):
            raise RequestError(
                f"{url}: its column {field.name} holds {here}, this skinml knows {field.type}; "
                "a newer skinml has written it: use that one, or another workspace"
            )


def _kind(kind: pa.DataType) -> str:
    """A type as Delta tells it apart: lengths of text and units of a moment are Arrow's own business."""
    if pa.types.is_timestamp(kind):
        return f"timestamp {kind.tz}"
    return str(kind).removeprefix("large_").removesuffix("_view")


def _options(url: str) -> dict[str, str] | None:
    return s3_options() if is_remote(url) else None


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what deltalake raises into one line, but for what the callers here act on themselves."""
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
        if "object store" in str(error) or "Generic S3 error" in str(error):  # it may pass
            raise StorageError(f"{url}: {words}{proxy_note(url, error)}") from error
        raise RunError(f"{url}: not a table that can be used: {words}") from error
