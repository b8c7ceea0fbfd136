"""What an archive holds: every image object below a folder or a prefix, never from a cache.

An etag says which bytes: S3's own, or for a file its modification time and size (no inode: a restored backup
with its times kept is the same archive).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from skinml.errors import RequestError
from skinml.schemas import LISTING
from skinml.storage import odd_keys
from skinml.storage.connection import bucket_and_key, check_answers, explained, split
from skinml.storage.patience import DELAYS, may_pass, say_again, waits
from skinml.storage.urls import file_uri, is_remote

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
PIECE = 1_000
"""Objects in a piece of a listing: one answer of S3, so that nothing is lost when a later one fails."""


@dataclass(frozen=True)
class Listed:
    """A piece of a listing: image objects (schema LISTING), and how many other objects were passed over."""

    images: pa.RecordBatch
    ignored: int


def list_images(url: str) -> Iterator[Listed]:
    """Every image object below a folder or prefix, at any depth, in pieces; never from a cache.

    An image is an object whose name ends in one of IMAGE_SUFFIXES, in any case. Names beginning with a dot,
    whatever lies in folders whose names do, links to folders, and everything else is counted as ignored.

    Raises:
        RequestError: the folder or bucket does not exist or refuses the key.
        StorageError: storage failed while listing.
    """
    with explained(url):
        yield from _list_bucket(url) if is_remote(url) else _list_folder(url)


def _list_folder(root: str) -> Iterator[Listed]:
    if not Path(root).exists():
        raise RequestError(f"{root}: no such folder")
    if not Path(root).is_dir():
        raise RequestError(f"{root}: is a file, name the folder that holds the images")
    rows: list[tuple[str, str, int, int]] = []
    ignored = 0
    folders = [root]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    ignored += 1
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name.lower().endswith(IMAGE_SUFFIXES) and (row := _file_row(entry)):
                    rows.append(row)
                else:
                    ignored += 1
                if len(rows) == PIECE:
                    yield Listed(_listing(rows), ignored)
                    rows, ignored = [], 0
    yield Listed(_listing(rows), ignored)


def _file_row(entry: os.DirEntry[str]) -> tuple[str, str, int, int] | None:
    """A file's row; None for a link to a folder, and for a pipe or a device, which could be read for ever."""
    try:
        status = entry.stat()
    except OSError:  # a link to nothing or to itself: listed, so that reading it says what is wrong
        return file_uri(entry.path), "missing", 0, 0
    if not stat.S_ISREG(status.st_mode):
        return None
    return file_uri(entry.path), file_etag(status), status.st_size, status.st_mtime_ns // 1000


def file_etag(status: os.stat_result) -> str:
    """Which bytes a file holds: its modification time in ns and its size, in hexadecimal."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _listing(rows: list[tuple[str, str, int, int]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, type=field.type) for column, field in zip(columns, LISTING, strict=True)],
        schema=LISTING,
    )


def _list_bucket(url: str) -> Iterator[Listed]:
    """All pieces, going on behind the last key after a failure that passed, or through s3fs after an odd key.

    S3 promises the order of keys. SeaweedFS has another one (folder by folder), but goes on in the same.
    """
    from obstore.exceptions import InvalidPathError

    prefix = bucket_and_key(url)[1]
    base = url if not prefix else url[: -len(prefix) - 1]
    pages: Callable[[str, str | None, int], Iterator[pa.Table]] = _list_pages
    after: str | None = None
    delays = waits()
    empty = True
    while True:
        try:
            for objects in pages(url, after, PIECE):
                # What XML cannot say, such as ESC, SeaweedFS answers as U+FFFD unless asked for percent-encoded
                # keys. obstore never asks for them, s3fs always does.
                if pages is _list_pages and _any_contains(objects["path"], "\ufffd"):
                    pages = odd_keys.list_pages
                    break
                empty = empty and not objects.num_rows
                yield from _listed(objects, prefix, base)
                after = objects["path"][-1].as_py() if objects.num_rows else after
                delays = waits()  # patience is for a place where it goes no further
            else:
                if empty:
                    check_answers(url)
                return
        except (ValueError, InvalidPathError):  # a key that obstore cannot name, or such a prefix
            if pages is odd_keys.list_pages:
                raise
            pages = odd_keys.list_pages
        except Exception as error:
            if not delays or not may_pass(error):
                raise
            say_again(url, error, delays[0], 2 + len(DELAYS) - len(delays), 1 + len(DELAYS))
            time.sleep(delays.pop(0))


def _list_pages(url: str, after: str | None, page_size: int) -> Iterator[pa.Table]:
    import obstore

    store, prefix = split(url, retries=0)  # obstore would try some failures again, but no broken body
    for piece in obstore.list(store, prefix or None, offset=after, chunk_size=page_size, return_arrow=True):
        yield pa.table(piece)


def _listed(objects: pa.Table, prefix: str, base: str) -> Iterator[Listed]:
    import pyarrow.compute as pc

    below = pc.utf8_slice_codeunits(objects["path"], len(prefix))
    wanted = pc.and_not(
        pc.match_substring_regex(below, "(?i)(" + "|".join(IMAGE_SUFFIXES).replace(".", r"\.") + ")$"),
        pc.match_substring(below, "/."),
    )
    if not prefix:
        wanted = pc.and_not(wanted, pc.starts_with(below, "."))
    images = objects.filter(wanted)
    listing = pa.table(
        {
            "uri": pc.binary_join_element_wise(base, images["path"], "/"),
            "etag": images["e_tag"],
            "size_bytes": images["size"],
            "last_modified": images["last_modified"],
        }
    ).cast(LISTING)
    for batch in listing.combine_chunks().to_batches() or [_listing([])]:
        yield Listed(batch, objects.num_rows - images.num_rows)


def _any_contains(column: pa.ChunkedArray, text: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring(column, text)).as_py())
