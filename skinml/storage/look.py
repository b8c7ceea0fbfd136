"""What single objects are now, asked for by name: for a few of an archive, whose listing would take longer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from skinml.storage import odd_keys
from skinml.storage.connection import split
from skinml.storage.listing import file_etag
from skinml.storage.patience import patiently
from skinml.storage.urls import normalise

THREADS = 16


@dataclass(frozen=True)
class Seen:
    """An object as a listing would show it: etag, bytes, when it was last modified (UTC)."""

    etag: str
    size_bytes: int
    last_modified: datetime


def look_at(uris: Sequence[str]) -> Iterator[Seen | Exception]:
    """What each object is now, in order: or why that cannot be said, a FileNotFoundError where it is gone.

    Failures that may pass are waited out first, as for a read.

    Args:
        uris: as `list_images` gives them.
    """
    with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as pool:
        yield from pool.map(_answer, uris)


def _answer(uri: str) -> Seen | Exception:
    try:
        return patiently(lambda: _look(uri))
    except NotADirectoryError as error:  # a file has taken its folder's name
        return FileNotFoundError(str(error))
    except Exception as error:
        return error


def _look(uri: str) -> Seen:
    if uri.startswith("file://"):
        status = os.stat(normalise(uri))  # noqa: PTH116 - a name of any bytes
        modified = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, UTC)
        return Seen(file_etag(status), status.st_size, modified)
    import obstore
    from obstore.exceptions import InvalidPathError

    store, key = split(uri, retries=0)
    if not key.startswith("/"):  # which obstore leaves out, and would look at another object
        try:
            meta = obstore.head(store, key)
            return Seen(str(meta["e_tag"]), meta["size"], meta["last_modified"])
        except (ValueError, InvalidPathError):
            pass
    return Seen(*odd_keys.head(uri))
