"""What an archive holds: every image object below a folder or a prefix, never from a cache.

An etag says which bytes: S3's own, or for a file its modification time and size (no inode: a restored backup
with its times kept is the same archive).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from skinml.storage.bucket_listing import list_bucket
from skinml.storage.connection import explained
from skinml.storage.folder_listing import list_folder
from skinml.storage.listed import Listed
from skinml.storage.urls import is_remote

__all__ = ["Listed", "list_images"]

PIECE = 1_000
"""Objects in a piece of a listing: one answer of S3, so that nothing is lost when a later one fails."""


def list_images(url: str, left_out: Collection[str] = (), at_once: int = PIECE) -> Iterator[Listed]:
    """Every image object below a folder or prefix, at any depth, in pieces; never from a cache.

    An image is an object whose name ends in one of IMAGE_SUFFIXES, in any case. Names beginning with a dot,
    whatever lies in folders whose names do, what is left out and everything else is counted as passed over.

    Args:
        url: normalised.
        left_out: folders or prefixes below it that are no part of the archive, normalised.
        at_once: objects in a piece. A check that only wants to know whether listing begins takes 1.

    Raises:
        RequestError: the folder or bucket does not exist or refuses the key.
        StorageError: storage failed while listing.
    """
    with explained(url):
        yield from (list_bucket if is_remote(url) else list_folder)(url, left_out, at_once)
