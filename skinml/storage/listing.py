"""List every image object below a folder or a prefix, never from a cache.

The etag identifies the version of an object. A bucket has its own etags; for a file it is made from
modification time and size. It leaves out the inode, so that a backup restored with its times counts as the same
archive.
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
"""Objects in a piece of a listing: one answer of S3, so that a later failure loses none of it."""


def list_images(url: str, left_out: Collection[str] = (), at_once: int | None = None) -> Iterator[Listed]:
    """Yield every image object below a folder or prefix, at any depth, in pieces.

    An image is an object whose name ends in one of `listed_suffixes`, in any case. Everything else counts as
    passed over: names that begin with a dot, everything in such folders, what is left out, and other files.

    Args:
        url: the folder or prefix, normalised.
        left_out: normalised folders or prefixes below `url` that do not belong to the archive.
        at_once: objects in a piece; None for PIECE. A check whether listing works at all takes 1.

    Raises:
        RequestError: the folder or bucket does not exist, or the key may not list it.
        StorageError: storage failed while listing.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from skinml.storage.urls import normalise
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a.jpg", "b.PNG", "notes.txt"):
        ...         _ = Path(folder, name).write_bytes(b"...")
        ...     pieces = list(list_images(normalise(folder)))
        >>> sum(piece.images.num_rows for piece in pieces)
        2
        >>> pieces[0].passed_over
        Counter({'other': 1})
    """
    with explained(url):
        yield from (list_bucket if is_remote(url) else list_folder)(url, left_out, at_once or PIECE)
