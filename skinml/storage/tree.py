"""Walk every object below a folder or a prefix, to see what a table's folder really holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from skinml.storage.connection import explained, split
from skinml.storage.urls import is_remote


def walk(url: str) -> Iterator[str]:
    """Yield the relative path of every object below a folder or prefix; nothing if it does not exist."""
    with explained(url):
        if not is_remote(url):
            root = Path(url)
            for folder, _, files in os.walk(root):  # skips a folder that is deleted meanwhile
                paths = (Path(folder, name) for name in files)
                yield from (path.relative_to(root).as_posix() for path in paths if path.is_file())
            return
        import obstore

        store, prefix = split(url)
        start = f"{prefix}/" if prefix else ""
        for piece in obstore.list(store, prefix or None):
            yield from (item["path"].removeprefix(start) for item in piece)
