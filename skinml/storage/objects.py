"""One whole object: read, looked for, copied, or put so that it appears all at once.

Small objects go through obstore on a bucket and the operating system on a folder; s3fs moves whole files.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from pathlib import Path
from stat import S_ISREG

from skinml.errors import RequestError, StorageError
from skinml.storage.conditional_puts import check_conditional_puts
from skinml.storage.connection import check_answers, explained, file_system, split
from skinml.storage.fetch import MAX_OBJECT_BYTES, Read
from skinml.storage.read_ahead import read_many
from skinml.storage.retry import retrying
from skinml.storage.urls import is_remote

__all__ = [
    "MAX_OBJECT_BYTES",  # these three are of its neighbours, and every reader of images asks for them here
    "Read",
    "check_place",
    "check_writable",
    "create_bytes",
    "exists",
    "local_copy",
    "names",
    "read_bytes",
    "read_many",
    "upload",
    "write_bytes",
]


def read_bytes(url: str, most: int | None = None) -> bytes:
    """One whole object.

    Args:
        url: which.
        most: bytes that it may have, where somebody else may have put it. None: any number.

    Raises:
        StorageError: it is not there.
        RequestError: it has more than `most` bytes or, if there is such a bound, is no regular file.
    """
    with explained(url):
        if not is_remote(url):
            return Path(url).read_bytes() if most is None else _read_bounded(url, most)
        import obstore

        store, key = split(url)
        answer = obstore.get(store, key)
        if most is not None:
            _check_size(url, answer.meta["size"], most)
        return bytes(answer.bytes())


def _read_bounded(url: str, most: int) -> bytes:
    # Without O_NONBLOCK this would wait for whoever writes to a FIFO of this name.
    file = os.open(url, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(file)
        if not S_ISREG(status.st_mode):
            raise RequestError(f"{url}: is no regular file; put the file itself there")
        _check_size(url, status.st_size, most)
        with os.fdopen(file, "rb", closefd=False) as reader:
            return reader.read(status.st_size)
    finally:
        os.close(file)


def _check_size(url: str, size_bytes: int, most: int) -> None:
    if size_bytes > most:
        raise RequestError(
            f"{url}: has {size_bytes:,} bytes, more than the {most:,} that it may have; restore the file"
        )


def exists(url: str) -> bool:
    """Whether an object is there."""
    if not is_remote(url):
        return Path(url).exists()
    import obstore

    store, key = split(url)
    try:
        with explained(url):
            obstore.head(store, key)
    except StorageError as error:
        if str(error).endswith("not found"):
            return False
        raise
    return True


def names(url: str) -> list[str]:
    """The sorted names directly below a folder or prefix; empty when there is nothing."""
    with explained(url):
        if not is_remote(url):
            return sorted(entry.name for entry in Path(url).iterdir()) if Path(url).is_dir() else []
        import obstore

        store, prefix = split(url)
        listing = obstore.list_with_delimiter(store, prefix or None)
        found = [*listing["common_prefixes"], *(item["path"] for item in listing["objects"])]
        if not found:
            check_answers(url)
        return sorted(name.rsplit("/", 1)[-1] for name in found)


def local_copy(url: str, folder: Path) -> Path:
    """A path to read a file from: the file itself, or a copy of a bucket's object below `folder`."""
    if not is_remote(url):
        return Path(url)
    target = folder / hashlib.sha256(url.encode()).hexdigest()[:16] / url.rsplit("/", 1)[-1]
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        with explained(url):
            file_system().get_file(url, str(partial))
        partial.replace(target)  # whole or not there: what a crash left is never taken for the file
    return target


def write_bytes(url: str, data: bytes) -> None:
    """Put one object so that a reader sees the old bytes or the new ones, never a part."""
    with explained(url):
        if is_remote(url):
            import obstore

            store, key = split(url)
            obstore.put(store, key, data)
        else:
            temporary = _temporary(Path(url), data)
            try:
                temporary.replace(url)
            except OSError:
                temporary.unlink()
                raise


def create_bytes(url: str, data: bytes) -> bool:
    """Put one object only where none is: False, and nothing written, when another was first.

    On a bucket a try whose answer was lost may have put it: the same bytes are then taken for our own.
    """
    with explained(url):
        if is_remote(url):
            return _create_object(url, data)
        temporary = _temporary(Path(url), data)
        try:
            os.link(temporary, url)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        return True


def _create_object(url: str, data: bytes) -> bool:
    import obstore
    from obstore.exceptions import AlreadyExistsError

    store, key = split(url, retries=0)
    tries = 0

    def create() -> bool:
        nonlocal tries
        tries += 1
        try:
            obstore.put(store, key, data, mode="create")
        except AlreadyExistsError:
            return tries > 1 and bytes(obstore.get(store, key).bytes()) == data
        return True

    return retrying(create, what=url)


def _temporary(target: Path, data: bytes) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(data)
    except OSError:  # such as a full disk
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def upload(source: Path, url: str) -> None:
    """Put a whole local file, in parts where it is large, so that it appears all at once."""
    with explained(url):
        if is_remote(url):
            file_system().put_file(str(source), url)
            return
        target = Path(url)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            shutil.copyfile(source, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def check_writable(url: str) -> None:
    """Refuse a place that cannot hold a workspace, before anything is written.

    On a bucket that asks for the right to put (s3:PutObject) and for a store that keeps its word: see
    `conditional_puts`, which leaves nothing behind where the key may delete.

    Raises:
        RequestError: it is a file, may not be written to, is a bucket that is missing or refuses the key, or
            lies on a store without conditional puts.
    """
    check_place(url)  # first, because obstore says clearly which of bucket and key is wrong
    if is_remote(url):
        check_conditional_puts(url)


def check_place(url: str) -> None:
    """Refuse a place that cannot hold a workspace, as far as that shows without writing anything.

    Raises:
        RequestError: it is a file, may not be written to, or is a bucket that is missing or refuses the key.
    """
    if is_remote(url):
        names(url)
        return
    place = Path(url)
    if place.exists() and not place.is_dir():
        raise RequestError(f"workspace {url}: is a file, name a folder or s3://bucket/prefix")
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise RequestError(f"workspace {url}: {place} is a file, name a folder or s3://bucket/prefix")
    if not os.access(place, os.W_OK):
        raise RequestError(f"workspace {url}: {place} may not be written to by this user")
