"""A folder for probe objects, which show who can read and write where, and of which nothing stays."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skinml.storage.objects import names
from skinml.storage.removal import delete
from skinml.storage.urls import is_remote


@contextmanager
def probe_folder(place: str) -> Iterator[str]:
    """A new name below a folder or prefix, for objects that are deleted when the block ends.

    Listings of images pass over it, because it begins with a dot. Folders that were made for it, also `place`
    itself and those above it, are removed again if they are empty.

    Args:
        place: normalised URL, which may not exist yet.
    """
    folder = f"{place}/.probe-{secrets.token_hex(8)}"
    above = [] if is_remote(place) else [Path(folder), *Path(folder).parents]
    made = [path for path in above if not path.exists()]
    try:
        yield folder
    finally:
        delete(f"{folder}/{name}" for name in names(folder))
        for path in made:
            with suppress(OSError):  # gone with its last file, or somebody has put something there
                path.rmdir()
