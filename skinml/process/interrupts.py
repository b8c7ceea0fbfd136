"""Turn signals that end a process into an exception, so that it can clean up within a bounded time."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import util
from types import FrameType
from typing import NoReturn

from skinml.process import scratch

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a stop by a service manager or batch system, and a closed terminal."""

END_SECONDS = 9.0
"""How long a process may take to clean up after a signal. Batch systems send SIGKILL some time later."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end. It is a KeyboardInterrupt, so that libraries do not catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports for a process that this signal ended: 130, 143 or 129."""
        return 128 + self.number

    def __str__(self) -> str:
        return f"ended by {signal.Signals(self.number).name}"


@contextmanager
def raised() -> Iterator[None]:
    """Raise Interrupted in the main thread at the first of SIGNALS in the block; ignore later signals.

    A signal that is ignored on entry stays ignored, for example SIGHUP under nohup. From the first signal on,
    the process has END_SECONDS to end, also after the block. Then its children are killed and it exits.
    """
    ending = False

    def end(number: int, _: FrameType | None) -> None:
        nonlocal ending
        if ending:
            return
        ending = True
        timer = threading.Timer(END_SECONDS, _end_at_once, (number,))
        timer.daemon = True
        timer.start()
        raise Interrupted(number)

    before = _replace_handlers(end)
    try:
        yield
    finally:
        if not ending:  # otherwise a second Ctrl-C would print a traceback
            _restore_handlers(before)


@contextmanager
def deferred() -> Iterator[None]:
    """Hold SIGNALS back until the block ends, for steps that must not be interrupted, such as starting workers.

    At the end of the block, the handler from before (of skinml, Prefect or Python) gets the first signal.
    """
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    before = _replace_handlers(note)
    try:
        yield
    finally:
        _restore_handlers(before)
        if came:
            os.kill(os.getpid(), came[0])


def leave(number: int) -> NoReturn:
    """Exit now, after cleaning up, without the exit handlers of libraries, which take seconds."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Release the semaphores of started processes: otherwise Python's resource tracker, which outlives this
    # process, releases them and prints a warning.
    with suppress(Exception):
        util._run_finalizers(0)  # type: ignore[attr-defined]
    os._exit(128 + number)


Handlers = dict[int, object]


def _replace_handlers(handler: object) -> Handlers:
    """Install `handler` for SIGNALS that are not ignored; return the old handlers. Main thread only."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    before: Handlers = {number: signal.getsignal(number) for number in SIGNALS}
    handled = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in handled:
        signal.signal(number, handler)  # type: ignore[arg-type]
    return handled


def _restore_handlers(before: Handlers) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)  # type: ignore[arg-type]


def _end_at_once(number: int) -> None:
    """End this process and its children, whatever they are waiting for."""
    import psutil

    with suppress(OSError, ValueError):  # stderr may be closed
        sys.stderr.write(f"skinml: could not clean up within {END_SECONDS:.0f} s of the signal; exiting now\n")
        sys.stderr.flush()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    scratch.remove_own()
    os._exit(128 + number)
