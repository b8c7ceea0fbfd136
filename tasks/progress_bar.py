"""Draw a progress bar on a terminal, with log lines above it, for tasks/progress.py."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from tasks.progress import Advance, Pace


@contextmanager
def bar(description: str, total: int, pace: Pace, unit: str) -> Iterator[Advance]:
    """Show a bar with rate and time left on stderr; yield a function that counts finished steps."""
    # soft_wrap: a log line that is longer than the terminal can be copied as one line
    console = Console(file=sys.stderr, soft_wrap=True, highlight=False, markup=False)
    words = len(f"{description}  {total:,}/{total:,} {unit}, 9,999/s, 59 min 59 s left")
    width = max(4, min(40, console.width - words))  # in a narrow terminal the words are worth more than the bar
    columns = (TextColumn("{task.description}", markup=False), BarColumn(width), _Count(pace, unit))
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as shown, _lines_above():
        task = shown.add_task(description, total=total, completed=pace.done)

        def advance(steps: int) -> None:
            pace.advance(steps)
            shown.advance(task, steps)

        yield advance


class _Count(ProgressColumn):
    """Steps done, how fast, and the time left. Rich asks for a class."""

    def __init__(self, pace: Pace, unit: str) -> None:
        super().__init__()
        self._pace = pace
        self._unit = unit

    def render(self, task: Task) -> Text:
        """The words behind the bar."""
        words = [f"{self._pace.done:,}/{self._pace.total:,} {self._unit}", str(self._pace)]
        return Text(", ".join(filter(None, words)), no_wrap=True)


@contextmanager
def _lines_above() -> Iterator[None]:
    """Let log handlers write above the bar, although they hold the stream on which it is drawn.

    Rich has replaced `sys.stderr` by a file that writes above the bar, but handlers keep the old stream.
    """
    above = sys.stderr
    stderr = getattr(above, "rich_proxied_file", above)
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    handlers = {handler for one in (logging.getLogger(), *loggers) for handler in one.handlers}
    streams = [one for one in handlers if isinstance(one, logging.StreamHandler) and one.stream is stderr]
    printers = [getattr(one, "console", None) for one in streams]  # Prefect's handler prints by rich
    consoles = [one for one in printers if isinstance(one, Console)]
    for handler in streams:
        handler.setStream(above)
    for console in consoles:
        console.file = cast(IO[str], _Above(above))
    try:
        yield
    finally:
        for handler in streams:
            handler.setStream(stderr)
        for console in consoles:
            console.file = stderr


class _Above(io.TextIOBase):
    """A file for a rich console, which would otherwise bypass the file that rich has put in place."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file

    def write(self, text: str) -> int:
        """Pass on what is written."""
        return self._file.write(text)

    def flush(self) -> None:
        """Pass on that a line is complete."""
        self._file.flush()
