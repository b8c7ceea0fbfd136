"""Make a temporary folder for probe objects, by which preflight checks who can read and write where."""

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
"""A probe takes seconds, so older ones were left by processes that were killed."""


@contextmanager
def probe_folder(place: str) -> Iterator[str]:
    """Give a new folder or prefix below `place`, and delete its objects when the block ends.

    Its name begins with a dot, so listings of images pass over it. Probe folders that a killed process left
    there are deleted first, if they are an hour old. If `place` or folders above it had to be created, they are
    removed again, provided they are empty.

    Args:
        place: normalised URL; it need not exist yet.
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
            with suppress(OSError):  # already removed with its last file, or not empty
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
