"""Delete objects."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from skinml.storage.connection import explained, split
from skinml.storage.retry import retrying
from skinml.storage.urls import is_remote


def delete(urls: Iterable[str]) -> None:
    """Delete objects that may not exist. A folder is removed with its last file, as in a bucket."""
    for url in urls:
        with explained(url):
            if is_remote(url):
                import obstore

                store, key = split(url)
                retrying(partial(obstore.delete, store, key), what=url)
            else:
                Path(url).unlink(missing_ok=True)
                with suppress(OSError):  # it holds something else
                    Path(url).parent.rmdir()


def delete_folder(url: str) -> None:
    """Delete everything below a folder or prefix, which may be gone already."""
    with explained(url):
        if not is_remote(url):
            with suppress(FileNotFoundError):
                shutil.rmtree(url)
            return
        import obstore

        store, prefix = split(url)
        found = [item["path"] for batch in obstore.list(store, f"{prefix}/") for item in batch]
        if found:
            retrying(partial(obstore.delete, store, found), what=url)
