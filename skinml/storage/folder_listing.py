"""List the images below a folder. A sub-folder that cannot be listed is one row; links out are not followed."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import repeat

from skinml.errors import RequestError
from skinml.storage.first_bytes import are_an_image, read_first
from skinml.storage.listed import (
    HIDDEN,
    LINK_OUT,
    LINK_TO_FOLDER,
    LINK_TO_HIDDEN_FOLDER,
    LINK_TO_LISTED,
    MISSING,
    NO_SUFFIX,
    OF_A_WORKSPACE,
    OTHER,
    OTHER_WORKSPACE,
    UNCHECKED,
    UNREADABLE,
    WORKSPACE,
    Listed,
    Row,
    kind_of,
    piece,
)
from skinml.storage.retry import is_transient
from skinml.storage.suffixes import listed_suffixes
from skinml.storage.urls import file_uri, is_below

LOOKS = 1_000
"""At most this many files without a suffix are opened per listing, to see from their first bytes whether they
are images: 20 us each on a local disk, some milliseconds each on a network disk."""


def list_folder(root: str, left_out: Collection[str], piece_rows: int) -> Iterator[Listed]:
    """Yield every image below a folder, in pieces.

    A sub-folder that cannot be listed becomes one row: its own uri, with the etag UNREADABLE and 0 bytes. A
    link to a file of the archive that is not listed itself (git-annex makes such links) is an image under the
    link's name.

    Args:
        root: the folder, normalised.
        left_out: normalised folders below `root` that are not listed.
        piece_rows: images in a piece.

    Raises:
        RequestError: the folder itself does not exist or cannot be listed.
    """
    _check_root(root)
    rows: list[Row] = []
    passed_over: Counter[str] = Counter()
    looks = repeat(None, LOOKS)
    folders = [root]
    while folders:
        folder = folders.pop()
        for entry in _entries(folder, root):
            if isinstance(entry, OSError):
                rows.append((file_uri(folder), UNREADABLE, 0, 0))
            elif _is_folder(entry):
                if entry.name.startswith("."):
                    passed_over[HIDDEN] += 1
                elif entry.path in left_out:
                    passed_over[WORKSPACE] += 1
                elif re.search(OF_A_WORKSPACE, entry.path[len(root) :]):
                    passed_over[OTHER_WORKSPACE] += 1
                else:
                    folders.append(entry.path)
            else:
                found = _row_or_kind(entry, root, left_out, looks)
                if isinstance(found, str):
                    passed_over[found] += 1
                else:
                    rows.append(found)
            if len(rows) == piece_rows:
                yield piece(rows, passed_over)
                rows, passed_over = [], Counter()
    yield piece(rows, passed_over)


def why_unreadable(path: str) -> str:
    """Return in one line why a folder cannot be listed, or that it can be listed now."""
    try:
        with os.scandir(path) as entries:
            for _ in entries:
                pass
    except OSError as error:
        return f"the folder cannot be listed: {error.strerror or error}"
    return "the folder could not be listed earlier; it can be now, and the next run reads its images"


def file_etag(status: os.stat_result) -> str:
    """Return a file's etag: its modification time in ns and its size in bytes, both in hexadecimal."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _check_root(root: str) -> None:
    try:
        is_folder = stat.S_ISDIR(os.stat(root).st_mode)  # noqa: PTH116 - a name of any bytes
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RequestError(f"{root}: no such folder; check the name") from error
    except OSError as error:
        if is_transient(error) or isinstance(error, PermissionError):
            raise
        raise RequestError(f"{root}: {error.strerror or error}; give another folder") from error
    if not is_folder:
        raise RequestError(f"{root}: is a file; give the folder that holds the images")


def _entries(folder: str, root: str) -> Iterator[os.DirEntry[str] | OSError]:
    """Yield a folder's entries, and the error that ended its listing, if any; raise it for the root."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:  # no permission, deleted meanwhile, a path too long, a broken disk
        if folder == root:
            raise
        yield error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _row_or_kind(
    entry: os.DirEntry[str], root: str, left_out: Collection[str], looks: Iterator[None]
) -> Row | str:
    """Return the row of an image, or the kind under which a file is counted as passed over."""
    if entry.name.startswith("."):
        return HIDDEN
    is_image = entry.name.lower().endswith(listed_suffixes())
    try:
        if entry.is_symlink():
            return _link(entry, is_image, root, left_out)
        if not is_image:
            kind = kind_of(entry.name)
            return _look(entry, looks) if kind == NO_SUFFIX else kind
        return _row(entry, entry.stat())
    except OSError:  # list it: the error of reading it says what is wrong
        return (file_uri(entry.path), MISSING, 0, 0) if is_image else OTHER


def _row(entry: os.DirEntry[str], status: os.stat_result) -> Row | str:
    """Return a regular file's row. Pipes and devices are passed over: reading them may never end."""
    if not stat.S_ISREG(status.st_mode):
        return OTHER
    return file_uri(entry.path), file_etag(status), status.st_size, status.st_mtime_ns // 1000


def _look(entry: os.DirEntry[str], looks: Iterator[None]) -> str:
    """Return the kind of a file without a suffix from its first bytes, until `looks` is used up."""
    if not stat.S_ISREG(entry.stat().st_mode) or not entry.stat().st_size:
        return OTHER
    if next(looks, looks) is looks:
        return UNCHECKED
    return NO_SUFFIX if are_an_image(read_first(entry.path)) else OTHER


def _link(entry: os.DirEntry[str], is_image: bool, root: str, left_out: Collection[str]) -> Row | str:
    """Return the row or the kind of a link. A dangling link raises OSError."""
    target = os.path.realpath(entry.path)
    is_outside = target != root and not is_below(target, root)
    try:
        status = entry.stat()
    except PermissionError:
        if is_outside:
            return LINK_OUT
        raise
    if is_outside or any(target == folder or is_below(target, folder) for folder in left_out):
        return LINK_OUT if is_outside else WORKSPACE
    is_hidden = any(part.startswith(".") for part in target[len(root) :].split("/"))
    if stat.S_ISDIR(status.st_mode):
        return LINK_TO_HIDDEN_FOLDER if is_hidden else LINK_TO_FOLDER
    if is_image:
        is_listed = not is_hidden and target.lower().endswith(listed_suffixes())
        return LINK_TO_LISTED if is_listed else _row(entry, status)
    kind = kind_of(entry.name)
    return OTHER if kind == NO_SUFFIX else kind
