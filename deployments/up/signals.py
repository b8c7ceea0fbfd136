"""The signals that end `up`: the first asks it to stop everything in order, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from skinml.process.interrupts import SIGNALS


class Stop:
    """Whether and by which signal this process was asked to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.by: str | None = None

    @property
    def is_asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for a signal, not longer than this. Whether one has come."""
        return self._asked.wait(seconds)

    def handle(self, number: int, _: FrameType | None) -> None:
        """Note the first signal; at the second one leave, and the watching process stops the children."""
        if self.by is not None:
            os._exit(128 + number)
        self.by = signal.Signals(number).name
        self._asked.set()


@contextmanager
def noted() -> Iterator[Stop]:
    """Note SIGINT, SIGTERM and SIGHUP in the block. One that is ignored on entry stays ignored, as by nohup."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handled = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in handled:
        signal.signal(number, stop.handle)
    try:
        yield stop
    finally:
        for number, old in handled.items():
            signal.signal(number, old)
