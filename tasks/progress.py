"""Show the progress of long work: a bar on a terminal, otherwise occasional log lines. Loads no Prefect."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    if not moving:
        yield lines(description, total, unit, done)
        return
    from tasks.progress_bar import bar  # and with it rich: a tenth of a second

    with bar(description, total, Pace(total, done), unit) as advance:
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


def _in_words(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
