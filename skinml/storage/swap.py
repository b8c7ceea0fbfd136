"""Replace an object only if it still has the content that was read: compare and swap, for aliases.

In a bucket the store compares (If-Match with the object's etag). In a folder a lock of the operating system
keeps two processes apart: rename alone cannot compare.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from skinml.errors import RequestError
from skinml.storage.connection import explained, split
from skinml.storage.objects import read_bytes, write_bytes
from skinml.storage.removal import delete
from skinml.storage.retry import retrying
from skinml.storage.urls import is_remote

if TYPE_CHECKING:
    from obstore import UpdateVersion

PROBE = ".conditional-replacements"
TEXT = b"skinml tries to replace this on a false condition, to see that the store refuses; then deletes it.\n"
NO_ETAG = '"00000000000000000000000000000000"'
"""The etag of no object: the MD5 of nothing that anybody has found."""


def swap_bytes(url: str, old: bytes, new: bytes) -> bool:
    """Replace an object, if it still is what was read; False, and nothing is written, if it is not.

    Readers see the old object or the new one. Of two processes that replace the same object at once, one gets
    True. In a bucket, an attempt whose answer was lost may have replaced it: if a retry finds `new`, it counts
    as ours, so `new` must be unlike what any other process writes.

    Args:
        url: the object, normalised.
        old: its content as it was read.
        new: its content afterwards.

    Raises:
        RequestError: it may not be written, or the store does not honour If-Match.
        StorageError: it does not exist, or storage failed.
    """
    if is_remote(url):
        return _swap_object(url, old, new)
    with explained(url), _locked(Path(url)):
        if read_bytes(url) != old:
            return False
        write_bytes(url, new)
        return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock beside a file. The operating system gives it up if this process is killed."""
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _swap_object(url: str, old: bytes, new: bytes) -> bool:
    import obstore
    from obstore.exceptions import PreconditionError

    _check_conditional_replacements(url)
    store, key = split(url, retries=0)
    tries = 0

    def swap() -> bool:
        nonlocal tries
        tries += 1
        found = obstore.get(store, key)
        condition: UpdateVersion = {"e_tag": found.meta["e_tag"] or NO_ETAG}
        content = bytes(found.bytes())
        if content != old:
            return tries > 1 and content == new
        try:
            obstore.put(store, key, new, mode=condition)
        except PreconditionError:
            return tries > 1 and bytes(obstore.get(store, key).bytes()) == new
        return True

    with explained(url):
        return retrying(swap, what=url)


def _check_conditional_replacements(url: str) -> None:
    """Refuse a store that replaces an object though the condition is false. AWS S3 has If-Match since 2024."""
    import obstore
    from obstore.exceptions import NotFoundError, PreconditionError

    probe = f"{url.rpartition('/')[0]}/{PROBE}"
    store, key = split(probe, retries=0)
    why = "it overwrites what is there"
    with explained(probe):
        retrying(lambda: obstore.put(store, key, TEXT), what=probe)
        try:
            retrying(lambda: obstore.put(store, key, TEXT, mode={"e_tag": NO_ETAG}), what=probe)
        except (PreconditionError, NotFoundError):  # not found: another run has deleted its probe
            return
        except NotImplementedError:  # of obstore
            why = "they are switched off by AWS_CONDITIONAL_PUT"
        finally:
            with suppress(Exception):  # a probe that is not allowed to be deleted does no harm
                delete([probe])
    raise RequestError(
        f"{url}: this store does not honour conditional puts (If-Match): {why}; two promotions at once would"
        " both seem to succeed; use a store that does (AWS S3, SeaweedFS), or a folder"
    )
