"""Look up single objects by name: faster than listing the archive if only a few are needed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from skinml.errors import RunError
from skinml.storage import s3fs_fallback
from skinml.storage.connection import explained, split
from skinml.storage.folder_listing import file_etag
from skinml.storage.retry import retrying
from skinml.storage.urls import as_uri, file_path

THREADS = 16


@dataclass(frozen=True)
class Seen:
    """An object's etag, size in bytes and time of last modification (UTC), as a listing would have them."""

    etag: str
    size_bytes: int
    last_modified: datetime


def head_objects(uris: Sequence[str]) -> Iterator[Seen | Exception]:
    """Yield each object's current state in order, or the exception (FileNotFoundError if it does not exist).

    Transient errors are retried first, as for a read.

    Args:
        uris: as `list_images` yields them.
    """
    with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as pool:
        yield from pool.map(_answer, uris)


def check_objects(sizes: Mapping[str, int]) -> None:
    """Check that each object exists and has the expected size.

    Args:
        sizes: expected bytes by normalised URL.

    Raises:
        RunError: an object is missing or has another size; the message names the first one.
        StorageError: storage did not answer.
    """
    uris = [as_uri(url) for url in sizes]
    for (url, size), seen in zip(sizes.items(), head_objects(uris), strict=True):
        if isinstance(seen, FileNotFoundError):
            raise RunError(
                f"{url}: {size} bytes were written but the object is missing; nothing was committed, run again"
            )
        if isinstance(seen, Exception):
            with explained(url):
                raise seen
        elif seen.size_bytes != size:
            raise RunError(
                f"{url}: {size} bytes were written but it has {seen.size_bytes}; nothing was committed, run "
                "again"
            )


def _answer(uri: str) -> Seen | Exception:
    try:
        return retrying(lambda: _look(uri))
    except NotADirectoryError as error:  # its folder has been replaced by a file
        return FileNotFoundError(str(error))
    except Exception as error:
        return error


def _look(uri: str) -> Seen:
    if uri.startswith("file://"):
        path = file_path(uri)
        status = os.stat(path)  # noqa: PTH116 - a name of any bytes
        if stat.S_ISDIR(status.st_mode):  # a folder is in the quarantine because it could not be listed
            with os.scandir(path) as entries:
                next(entries, None)
        modified = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, UTC)
        return Seen(file_etag(status), status.st_size, modified)
    import obstore
    from obstore.exceptions import InvalidPathError

    store, key = split(uri, retries=0)
    if not key.startswith("/"):  # obstore would drop the slash and look at another object
        try:
            meta = obstore.head(store, key)
            return Seen(str(meta["e_tag"]), meta["size"], meta["last_modified"])
        except (ValueError, InvalidPathError):
            pass
    return Seen(*s3fs_fallback.head(uri))
