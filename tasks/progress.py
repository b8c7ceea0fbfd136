"""How far long work is: a bar on a terminal, a log line now and then everywhere else. Loads no Prefect."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

logger = logging.getLogger("skinml.progress")

SECONDS_BETWEEN_LINES = 30.0
"""Work that takes less says nothing in a log."""

SECONDS_OF_SILENCE = 300.0
"""With less than a tenth more done, there is a line this often: at most 110 lines in a night of 8 hours."""

Advance = Callable[[int], None]
"""Counts finished steps."""


@contextmanager
def progress_bar(description: str, total: int, unit: str) -> Iterator[Advance]:
    """Show how far long work is, on stderr; yields what counts finished steps.

    On a terminal it is a bar with rate and time left, which goes when the work is done, and what is logged or
    written to stderr meanwhile stands above it. Elsewhere, and with TERM=dumb, it is log lines: one for each
    tenth, 30 s apart at least.

    Args:
        description: what is being done.
        total: steps in all.
        unit: what the steps are, in the plural.
    """
    moving = sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    with _bar(description, total, unit) if moving else nullcontext(lines(description, total, unit)) as advance:
        yield advance


def lines(description: str, total: int, unit: str, clock: Callable[[], float] = time.monotonic) -> Advance:
    """What counts steps and logs a line when it is time for one."""
    start = last = clock()
    done = said = 0

    def advance(steps: int) -> None:
        nonlocal done, said, last
        done += steps
        now = clock()
        due = SECONDS_BETWEEN_LINES if 10 * (done - said) >= total else SECONDS_OF_SILENCE
        if now - last >= due:
            last, said = now, done
            speed = done / (now - start)
            share = done / max(total, 1)
            pace = _pace(done, total, speed)
            logger.info(
                "%s: %s of %s %s (%.0f %%), %s", description, f"{done:,}", f"{total:,}", unit, 100 * share, pace
            )

    return advance


@contextmanager
def _bar(description: str, total: int, unit: str) -> Iterator[Advance]:
    # soft_wrap: a log line longer than the terminal stays one line to who copies it
    console = Console(file=sys.stderr, soft_wrap=True, highlight=False, markup=False)
    words = len(f"{description}  {total:,}/{total:,} {unit}, 9,999/s, 59 min 59 s left")
    width = max(4, min(40, console.width - words))  # in a narrow terminal the words are worth more than the bar
    columns = (TextColumn("{task.description}", markup=False), BarColumn(width), _Count(unit))
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar, _lines_above():
        task = bar.add_task(description, total=total)

        def advance(steps: int) -> None:
            bar.advance(task, steps)

        yield advance


class _Count(ProgressColumn):
    """Steps done, how fast, and the time left. Rich asks for a class."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        done, total = int(task.completed), int(task.total or 0)
        counted = f"{done:,}/{total:,} {self._unit}"
        if not done or not task.elapsed:
            return Text(counted, no_wrap=True)
        # Rich's own speed is that of two steps at first, and steps come in bursts from workers.
        return Text(f"{counted}, {_pace(done, total, done / task.elapsed)}", no_wrap=True)


def _pace(done: int, total: int, speed: float) -> str:
    """Steps a second, and the time left at that rate: `31.2/s, 2 min 5 s left`."""
    rate = f"{1 / speed:,.3g} s each" if speed < 1 else f"{speed:,.3g}/s" if speed < 100 else f"{speed:,.0f}/s"
    return f"{rate}, {_in_words((total - done) / speed)} left"


def _in_words(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def _lines_above() -> Iterator[None]:
    """Let log handlers write above the bar: they hold the stream that it is drawn on.

    Rich has put a file that does so in the place of `sys.stderr`, for those that look it up as they write.
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
        console.file = _Above(above)
    try:
        yield
    finally:
        for handler in streams:
            handler.setStream(stderr)
        for console in consoles:
            console.file = stderr


class _Above(io.TextIOBase):
    """A file for a console of rich's, which would look through the one that rich has put in place."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file

    def write(self, text: str) -> int:
        """Pass on what is written."""
        return self._file.write(text)

    def flush(self) -> None:
        """Pass on that a line is complete."""
        self._file.flush()
