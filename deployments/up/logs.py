"""Write what a child process prints to a file that rotates."""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import BinaryIO

from skinml.storage.redaction import redacted

MAX_BYTES = 5_000_000
KEPT = 4
"""Older files beside the current one: at most 25 MB a child."""

LINE_BYTES = 16_384
"""A longer line is cut in pieces: a progress bar may never end its line."""


class _Handler(RotatingFileHandler):
    """Loses a line that cannot be written, silently.

    Python would print a traceback for every line of the child, into the journal on the same full disk.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is Python's
        """Do nothing."""

    def close(self) -> None:
        """Close the file. What is still to be written is lost if the disk is full."""
        with suppress(OSError):
            super().close()


class LogPipe:
    """Reads one pipe until it ends, in a thread. The last lines are kept, for an error to quote."""

    def __init__(self, pipe: BinaryIO, file: Path, max_bytes: int = MAX_BYTES) -> None:
        self.last: deque[str] = deque(maxlen=50)
        self._pipe = pipe
        self._handler = _Handler(
            file, maxBytes=max_bytes, backupCount=KEPT, encoding="utf-8", delay=True, errors="replace"
        )
        self._handler.setFormatter(logging.Formatter("%(message)s"))
        self._thread = threading.Thread(target=self._copy, name=f"log of {file.stem}", daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        while line := self._pipe.readline(LINE_BYTES):
            text = redacted(line.decode("utf-8", "replace").rstrip())
            self.last.append(text)
            record = logging.LogRecord("child", logging.INFO, "", 0, text, None, None)
            self._handler.emit(record)  # raises nothing: the child waits for us to read

    def close(self, seconds: float = 5.0) -> None:
        """Wait for the rest, which ends when the last process that has the pipe ends."""
        self._thread.join(seconds)
        if not self._thread.is_alive():
            self._pipe.close()
        self._handler.close()
