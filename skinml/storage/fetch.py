"""Read one image object: its bytes and their etag. Transient errors are retried."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from threading import Event

from skinml.errors import SkinmlError
from skinml.storage import s3fs_fallback
from skinml.storage.connection import split
from skinml.storage.folder_listing import file_etag, why_unreadable
from skinml.storage.redaction import redacted
from skinml.storage.retry import is_transient, retrying
from skinml.storage.urls import file_path, is_below

MAX_OBJECT_BYTES = 64 * 2**20
"""Larger objects are not read as images: a 600x450 dermatoscopic JPEG has 24-260 kB, a camera file 5 MB."""


@dataclass(frozen=True, slots=True)
class Read:
    """The result of reading one object: its bytes and their etag, or the error."""

    data: bytes | None
    etag: str | None = None
    error: str | None = None


def read_once(uri: str, roots: Collection[str] | None = None) -> Read | Exception:
    """Try once to read an object; return the exception if it is transient. See `read_retrying`."""
    try:
        return _read(uri, roots)
    except SkinmlError:  # the S3 settings are wrong, not this image
        raise
    except Exception as error:
        return error if is_transient(error) else _failed(error)


def read_retrying(
    uri: str, stopped: Event, failure: Exception | None = None, roots: Collection[str] | None = None
) -> Read:
    """Read an object, with retries for transient errors.

    At most this takes 21 s if every attempt is refused at once, 80 s if connections deliver nothing, and three
    minutes if they deliver slowly (retry.DELAYS and MAX_SECONDS, connection.SILENT_SECONDS and
    REQUEST_SECONDS).

    Args:
        uri: as `list_images` yields it.
        stopped: once set, no further attempt is made.
        failure: the error of the first attempt, if it has been made already.
        roots: normalised archives. A file is read only if the opened file lies in one of them, in case a link
            has been put into its path since it was listed. None: any file may be read.
    """
    try:
        return retrying(lambda: _read(uri, roots), stopped, failure)
    except SkinmlError:
        raise
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> Read:
    text = redacted(str(error)).partition("\n")[0]  # which may be empty
    return Read(None, error=f"{type(error).__name__}: {text[:200]}")


def _read(uri: str, roots: Collection[str] | None) -> Read:
    return _read_file(file_path(uri), roots) if uri.startswith("file://") else _read_object(uri)


def _read_file(path: str, roots: Collection[str] | None) -> Read:
    # Three system calls take 5 us; Path.open() and its buffer take 14 us, more than the read.
    # O_NONBLOCK for archives, because a pipe may have been put in place of the file.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (os.O_NONBLOCK if roots is not None else 0))
    try:
        status = os.fstat(file)  # of the opened file, which may have been replaced under its name
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(why_unreadable(path))
        if roots is not None:
            _check_is_within(roots, file, path, status)
        most = MAX_OBJECT_BYTES + 1  # one byte more, so that decoding sees that it is too large
        data = os.read(file, min(status.st_size + 1, most))
        if len(data) != status.st_size:  # the file grows, a signal came, or the file system reports no size
            while len(data) < most and (more := os.read(file, min(2**20, most - len(data)))):
                data += more
    finally:
        os.close(file)
    return Read(data, file_etag(status))


def _check_is_within(roots: Collection[str], file: int, path: str, status: os.stat_result) -> None:
    """Refuse a file that has been replaced by something else since it was listed: 4 us."""
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError("was replaced by a pipe or device since it was listed; these are not read")
    opened = _opened_path(file, path)
    if not any(is_below(opened, root) for root in roots):
        raise PermissionError("was replaced by a link out of the archive since it was listed; not followed")


def _opened_path(file: int, path: str) -> str:
    """Return the real path of an open file from the system, so that no link can be changed in between."""
    ask_macos = getattr(fcntl, "F_GETPATH", None)
    try:
        if ask_macos is not None:
            return os.fsdecode(fcntl.fcntl(file, ask_macos, bytes(1024)).rstrip(b"\0"))
        return os.readlink(f"/proc/self/fd/{file}")  # noqa: PTH115 - Path takes far longer
    except OSError:  # no /proc here
        return os.path.realpath(path)


def _read_object(uri: str) -> Read:
    import obstore
    from obstore.exceptions import InvalidPathError

    most = MAX_OBJECT_BYTES + 1
    store, key = split(uri, retries=0)  # only we retry, because we bound the time
    if key.startswith("/"):  # obstore would drop the slash and read another object
        return Read(*s3fs_fallback.get(uri, most))
    try:
        answer = obstore.get(store, key)
    except (ValueError, InvalidPathError):
        return Read(*s3fs_fallback.get(uri, most))
    meta = answer.meta
    data = answer.bytes() if meta["size"] < most else obstore.get_range(store, key, start=0, length=most)
    return Read(bytes(data), meta["e_tag"])
