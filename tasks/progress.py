"""Show the progress of long work: a bar on a terminal, otherwise occasional log lines. Loads no Prefect."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

logger = logging.getLogger("skinml.progress")

SECONDS_BETWEEN_LINES = 30.0
"""The shortest time between two log lines; shorter work logs none."""

SECONDS_OF_SILENCE = 300.0
"""If less than a tenth was done since the last line, log a line this often: at most 110 lines in 8 hours."""

SETTLED = 1.0
"""Seconds before a rate is shown, because steps come in bursts from workers."""

Advance = Callable[[int], None]
"""Counts finished steps."""

Clock = Callable[[], float]
"""Seconds that have gone by."""


@contextmanager
def progress_bar(description: str, total: int, unit: str, done: int = 0) -> Iterator[Advance]:
    """Show the progress of long work on stderr; yield a function that counts finished steps.

    On a terminal it is a bar with rate and time left. It disappears when the work is done, and log lines appear
    above it. Otherwise, and with TERM=dumb, it is log lines: one for each tenth, at least 30 s apart.

    Args:
        description: what is being done.
        total: number of steps.
        unit: the name of the steps, in the plural.
        done: steps of an earlier run, which count as done and not for the speed.
    """
    moving = sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    shown = (
        _bar(description, total, unit, done) if moving else nullcontext(lines(description, total, unit, done))
    )
    with shown as advance:
        yield advance


class Pace:
    """Steps done, and how fast they are done. It has state: a class."""

    def __init__(self, total: int, done: int = 0, clock: Clock = time.monotonic) -> None:
        self.total = total
        self.done = done
        self._earlier = done
        self._clock = clock
        self._begun = clock()
        self._first: tuple[int, float] | None = None

    def advance(self, steps: int) -> float:
        """Count finished steps and return the time."""
        self.done += steps
        now = self._clock()
        if self._first is None:
            self._first = self.done, now
        return now

    def __str__(self) -> str:
        """Steps a second, and the time left at that rate: `31.2/s, 2 min 5 s left`. Empty before the first.

        Once there are others, the first steps do not count: workers start and libraries are loaded before them.
        """
        if self._first is None:
            return ""
        now, (first, since) = self._clock(), self._first
        done, seconds = self.done - first, now - since
        if not done or seconds < SETTLED:
            done, seconds = self.done - self._earlier, max(now - self._begun, SETTLED)
        speed = done / seconds
        rate = (
            f"{1 / speed:,.3g} s each" if speed < 1 else f"{speed:,.3g}/s" if speed < 100 else f"{speed:,.0f}/s"
        )
        return f"{rate}, {_in_words((self.total - self.done) / speed)} left"


def lines(description: str, total: int, unit: str, done: int = 0, clock: Clock = time.monotonic) -> Advance:
    """Return a function that counts steps and logs a line when one is due."""
    pace, last, said = Pace(total, done, clock), clock(), done

    def advance(steps: int) -> None:
        nonlocal last, said
        now = pace.advance(steps)
        due = SECONDS_BETWEEN_LINES if 10 * (pace.done - said) >= total else SECONDS_OF_SILENCE
        if now - last >= due:
            last, said = now, pace.done
            counted = f"{said:,} of {total:,} {unit} ({said / max(total, 1):.0%})".replace("%", " %")
            logger.info("%s: %s, %s", description, counted, str(pace))

    return advance


@contextmanager
def _bar(description: str, total: int, unit: str, done: int) -> Iterator[Advance]:
    # soft_wrap: a log line that is longer than the terminal can be copied as one line
    console = Console(file=sys.stderr, soft_wrap=True, highlight=False, markup=False)
    words = len(f"{description}  {total:,}/{total:,} {unit}, 9,999/s, 59 min 59 s left")
    width = max(4, min(40, console.width - words))  # in a narrow terminal the words are worth more than the bar
    pace = Pace(total, done)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(width), _Count(pace, unit))
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar, _lines_above():
        task = bar.add_task(description, total=total, completed=done)

        def advance(steps: int) -> None:
            pace.advance(steps)
            bar.advance(task, steps)

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


def _in_words(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


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
