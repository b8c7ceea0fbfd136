"""Read the bytes of a metadata file, or refuse it. Loads no pandas, so that a refusal is quick."""

from __future__ import annotations

import stat
from pathlib import Path

from skinml.errors import RequestError, StorageError
from skinml.storage.head import head_objects
from skinml.storage.objects import read_bytes
from skinml.storage.urls import as_uri, is_remote, normalise

MOST_BYTES = 256 * 2**20
"""HAM10000's file has 0.6 MB, the export of the whole ISIC archive (half a million images) below 200 MB."""

SMALL_BYTES = 2**20
"""A file of so many bytes is read and parsed in 0.1 s of CPU: HAM10000's in 0.06."""


def read_metadata_file(url: str) -> bytes:
    """Read the whole file.

    Raises:
        RequestError: it does not exist, is not a file, or has more than 256 MiB.
    """
    place = normalise(url)
    try:
        _check_size(place)
        return read_bytes(place)
    except StorageError as error:
        raise RequestError(f"--metadata {error}; give a CSV file") from error


def check_metadata_file(url: str) -> bool:
    """Refuse what `read_metadata_file` refuses; return whether the file is small enough to parse now."""
    place = normalise(url)
    if _check_size(place) > SMALL_BYTES:
        return False
    read_metadata_file(url)
    return True


def _check_size(place: str) -> int:
    """Refuse what cannot be read to its end (a pipe, a device) and what is too large; return its size."""
    if is_remote(place):
        [seen] = head_objects([as_uri(place)])
        size = 0 if isinstance(seen, Exception) else seen.size_bytes  # reading it says what is wrong
    else:
        try:
            status = Path(place).stat()
        except OSError:  # likewise
            return 0
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise RequestError(f"--metadata {place}: is a pipe or a device; give a CSV file")
        size = status.st_size
    if size > MOST_BYTES:
        raise RequestError(
            f"--metadata {place}: has {size:,} bytes, the limit is {MOST_BYTES:,}; give a smaller CSV file"
        )
    return size
