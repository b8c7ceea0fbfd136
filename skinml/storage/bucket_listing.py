"""List the images below a prefix of a bucket; after a transient error, go on after the last key."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from skinml.schemas import LISTING
from skinml.storage import s3fs_fallback
from skinml.storage.connection import bucket_and_key, check_answers, split
from skinml.storage.listed import (
    HIDDEN,
    OF_A_WORKSPACE,
    OTHER,
    OTHER_WORKSPACE,
    WORKSPACE,
    Listed,
    kind_of,
    piece,
)
from skinml.storage.retry import DELAYS, is_transient, log_retry, waits
from skinml.storage.suffixes import listed_suffixes


def image_name() -> str:
    """Return the pattern of a name that is listed."""
    return "(?i)(" + "|".join(listed_suffixes()).replace(".", r"\.") + ")$"


def list_bucket(url: str, left_out: Collection[str], piece_rows: int) -> Iterator[Listed]:
    """Yield every image object below a prefix, in pieces.

    obstore lists until it meets a key that it refuses; s3fs lists the rest. S3 returns keys in sorted order.
    SeaweedFS sorts them folder by folder instead, but always in the same order.

    Args:
        url: s3://bucket/prefix, normalised.
        left_out: normalised prefixes below `url` whose objects are left out.
        piece_rows: objects in a page.
    """
    from obstore.exceptions import InvalidPathError

    prefix = bucket_and_key(url)[1]
    keys_left_out = [f"{bucket_and_key(place)[1]}/" for place in left_out]
    base = url if not prefix else url[: -len(prefix) - 1]
    pages: Callable[[str, str | None, int], Iterator[pa.Table]] = _list_pages
    after: str | None = None
    delays = waits()
    empty = True
    while True:
        try:
            for objects in pages(url, after, piece_rows):
                # SeaweedFS replaces characters that XML cannot hold (such as ESC) by U+FFFD, unless the client
                # asks for percent-encoded keys. s3fs always asks for them, obstore never does.
                if pages is _list_pages and _any_contains(objects["path"], "\ufffd"):
                    pages = s3fs_fallback.list_pages
                    break
                empty = empty and not objects.num_rows
                yield from _listed(objects, prefix, base, keys_left_out)
                after = objects["path"][-1].as_py() if objects.num_rows else after
                delays = waits()  # the listing made progress, so the retries start again from the first
            else:
                if empty:
                    check_answers(url)
                return
        except (ValueError, InvalidPathError):  # obstore refuses a key, or the prefix
            if pages is s3fs_fallback.list_pages:
                raise
            pages = s3fs_fallback.list_pages
        except Exception as error:
            if not delays or not is_transient(error):
                raise
            log_retry(url, error, delays[0], 2 + len(DELAYS) - len(delays), 1 + len(DELAYS))
            time.sleep(delays.pop(0))


def _list_pages(url: str, after: str | None, page_size: int) -> Iterator[pa.Table]:
    import obstore

    store, prefix = split(url, retries=0)  # obstore would retry some errors, but not a broken body
    for page in obstore.list(store, prefix or None, offset=after, chunk_size=page_size, return_arrow=True):
        yield pa.table(page)


def _listed(objects: pa.Table, prefix: str, base: str, keys_left_out: Collection[str]) -> Iterator[Listed]:
    below = pc.utf8_slice_codeunits(objects["path"], len(prefix))
    ours = pa.chunked_array([pa.repeat(False, objects.num_rows)])
    for key in keys_left_out:
        ours = pc.or_(ours, pc.starts_with(objects["path"], key))
    others = pa.chunked_array([pa.repeat(False, objects.num_rows)])
    if _any_contains(below, "Z-"):  # all run ids contain it: a cheap test before the expensive pattern
        others = pc.and_not(pc.match_substring_regex(below, OF_A_WORKSPACE), ours)
    hidden = pc.match_substring(below, "/.")
    if not prefix:
        hidden = pc.or_(hidden, pc.starts_with(below, "."))
    passed = pc.or_(pc.or_(hidden, ours), others)
    wanted = pc.and_not(pc.match_substring_regex(below, image_name()), passed)
    images = objects.filter(wanted)
    listing = pa.table(
        {
            "uri": pc.binary_join_element_wise(base, images["path"], "/"),
            "etag": images["e_tag"],
            "size_bytes": images["size"],
            "last_modified": images["last_modified"],
        }
    ).cast(LISTING)
    passed_over = Counter({WORKSPACE: pc.sum(ours).as_py() or 0})
    passed_over[OTHER_WORKSPACE] = pc.sum(others).as_py() or 0
    passed_over[HIDDEN] = pc.sum(pc.and_not(pc.and_not(hidden, ours), others)).as_py() or 0
    rest = objects["path"].filter(pc.invert(pc.or_(wanted, passed)))
    for key in rest.to_pylist():
        name = key.rpartition("/")[2]
        passed_over[kind_of(name) if name else OTHER] += 1  # a key that ends in "/" marks a folder
    passed_over = +passed_over
    batches = listing.combine_chunks().to_batches()
    yield Listed(batches[0], passed_over) if batches else piece([], passed_over)


def _any_contains(column: pa.ChunkedArray, text: str) -> bool:
    return bool(pc.any(pc.match_substring(column, text)).as_py())
