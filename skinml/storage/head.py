"""What single objects are now, asked for by name: for a few of an archive, whose listing would take longer."""

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
    """An object as a listing would show it: etag, bytes, when it was last modified (UTC)."""

    etag: str
    size_bytes: int
    last_modified: datetime


def head_objects(uris: Sequence[str]) -> Iterator[Seen | Exception]:
    """What each object is now, in order: or why that cannot be said, a FileNotFoundError where it is gone.

    Failures that may pass are waited out first, as for a read.

    Args:
        uris: as `list_images` gives them.
    """
    with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as pool:
        yield from pool.map(_answer, uris)


def check_objects(sizes: Mapping[str, int]) -> None:
    """Make sure that each object is there with so many bytes.

    Args:
        sizes: bytes by normalised URL.

    Raises:
        RunError: one is missing or has another size; it names the first.
        StorageError: storage does not say.
    """
    uris = [as_uri(url) for url in sizes]
    for (url, size), seen in zip(sizes.items(), head_objects(uris), strict=True):
        if isinstance(seen, FileNotFoundError):
            raise RunError(
                f"{url}: {size} bytes were written and nothing is there; it was not committed, run again"
            )
        if isinstance(seen, Exception):
            with explained(url):
                raise seen
        elif seen.size_bytes != size:
            raise RunError(
                f"{url}: {size} bytes were written and {seen.size_bytes} are there; it was not committed, run "
                "again"
            )


def _answer(uri: str) -> Seen | Exception:
    try:
        return retrying(lambda: _look(uri))
    except NotADirectoryError as error:  # a file has taken its folder's name
        return FileNotFoundError(str(error))
    except Exception as error:
        return error


def _look(uri: str) -> Seen:
    if uri.startswith("file://"):
        path = file_path(uri)
        status = os.stat(path)  # noqa: PTH116 - a name of any bytes
        if stat.S_ISDIR(status.st_mode):  # in the quarantine, because it could not be listed
            with os.scandir(path) as entries:
                next(entries, None)
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
    return Seen(*s3fs_fallback.head(uri))
