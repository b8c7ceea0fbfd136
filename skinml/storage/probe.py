"""A folder for probe objects, which show who can read and write where, and of which nothing stays."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from skinml.storage.head import Seen, head_objects
from skinml.storage.objects import names
from skinml.storage.removal import delete
from skinml.storage.urls import as_uri, is_remote

PREFIX = ".probe-"

ABANDONED = timedelta(hours=1)
"""A probe takes seconds; what is older belongs to nobody."""


@contextmanager
def probe_folder(place: str) -> Iterator[str]:
    """A new name below a folder or prefix, for objects that are deleted when the block ends.

    Listings of images pass over it, because it begins with a dot. What a killed process has left of such
    folders is deleted first, once it is an hour old. Folders that were made for it, also `place` itself and
    those above it, are removed again if they are empty.

    Args:
        place: normalised URL, which may not exist yet.
    """
    _remove_abandoned(place)
    folder = f"{place}/{PREFIX}{secrets.token_hex(8)}"
    above = [] if is_remote(place) else [Path(folder), *Path(folder).parents]
    made = [path for path in above if not path.exists()]
    try:
        yield folder
    finally:
        delete(f"{folder}/{name}" for name in names(folder))
        for path in made:
            with suppress(OSError):  # gone with its last file, or somebody has put something there
                path.rmdir()


def _remove_abandoned(place: str) -> None:
    folders = [name for name in names(place) if name.startswith(PREFIX)]
    urls = [f"{place}/{folder}/{name}" for folder in folders for name in names(f"{place}/{folder}")]
    seen = head_objects([as_uri(url) for url in urls])
    before = datetime.now(UTC) - ABANDONED
    delete(
        [
            url
            for url, one in zip(urls, seen, strict=True)
            if isinstance(one, Seen) and one.last_modified < before
        ]
    )
