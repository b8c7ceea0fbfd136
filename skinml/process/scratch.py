"""Give each run its own folder for temporary files, which is removed when the run ends.

If a run is killed, the next run on this machine removes its folder. It recognises such a folder by its lock,
which nobody holds: the operating system releases a lock when its process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger("skinml.scratch")

PREFIX = "skinml-run-"
LOCK = ".lock"

UNLOCKED_SECONDS = 3600
"""A folder without a lock is just being made, unless it is older than this: then its removal had failed."""

_own: list[Path] = []


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Make a temporary folder, and use it for all temporary files of this process within the block.

    Libraries and child processes (Dask's workers, a fit, TensorFlow) use it too.

    Args:
        name: the flow's name, which becomes part of the folder's name.
    """
    remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-"))
    lock = _lock(folder)
    _own.append(folder)
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable
        _own.remove(folder)
        shutil.rmtree(folder, ignore_errors=True)  # a worker that is still stopping may write into it
        os.close(lock)


def remove_abandoned() -> None:
    """Remove the folders that killed runs of this user left behind."""
    for folder in temporary_folder().glob(f"{PREFIX}*"):
        with suppress(OSError):  # it belongs to another user, or another run is removing it
            if not (folder / LOCK).exists() and time.time() - folder.stat().st_mtime > UNLOCKED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                logger.info("removed %s, which a killed run had left behind", folder)
            finally:
                os.close(lock)


def temporary_folder() -> Path:
    """Return the system's folder for temporary files, also within the block of `scratch_folder`."""
    return _own[0].parent if _own else Path(tempfile.gettempdir())


def remove_own() -> None:
    """Remove this process's folders now, for a process that exits without leaving their blocks."""
    for folder in _own:
        shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> int:
    """Hold the folder's lock until the returned file descriptor is closed or this process ends."""
    new = folder / f"{LOCK}.new"
    lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    new.rename(folder / LOCK)  # renamed after locking, so that nobody finds it unlocked
    return lock
