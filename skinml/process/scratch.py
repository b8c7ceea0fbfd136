"""A run's own folder for temporary files, of this process and its children; gone when the run ends.

What a run that was killed has left is removed by the next one on this machine: a folder whose lock nobody holds
belongs to nobody, and the system releases a lock when its process ends, however it ends.
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
"""A folder without a lock is being made, or could not be removed whole: then it is older than this."""

_own: list[Path] = []


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A new folder below the system's one for temporary files, and within the block the only such place.

    Libraries and child processes (Dask's workers, a fit, TensorFlow) put their temporary files into it too.

    Args:
        name: of the flow, for people who look.
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
        shutil.rmtree(folder, ignore_errors=True)  # a worker that is still ending may write into it
        os.close(lock)


def remove_abandoned() -> None:
    """Remove the folders of runs of this user that are no more."""
    for folder in temporary_folder().glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or another run is removing it
            if not (folder / LOCK).exists() and time.time() - folder.stat().st_mtime > UNLOCKED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                logger.info("removed %s, which a run that was killed had left", folder)
            finally:
                os.close(lock)


def temporary_folder() -> Path:
    """The system's folder for temporary files, also within the block of `scratch_folder`."""
    return _own[0].parent if _own else Path(tempfile.gettempdir())


def remove_own() -> None:
    """Remove this process's folders, for a process that cannot leave their blocks any more."""
    for folder in _own:
        shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> int:
    """Hold the folder's lock until the returned file descriptor is closed or this process ends."""
    new = folder / f"{LOCK}.new"
    lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    new.rename(folder / LOCK)  # locked before anybody can find it
    return lock
