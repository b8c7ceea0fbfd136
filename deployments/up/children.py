"""Child processes of `skinml up`: start them, log what they print, start them again if they die."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from deployments.up.logs import LogPipe
from deployments.up.state import Home
from skinml.process.switches import CHILD_OF_UP

logger = logging.getLogger("skinml.up")

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds until a child that has died is started again: 1, 2, 4 ... 60."""

STEADY_SECONDS = 300.0
"""A child that has lived so long begins at the first wait again."""


class Child:
    """A program that is to run as long as `up` does.

    Args:
        name: what it is called, also its log.
        command: program and arguments.
        environment: all of its variables.
        home: where its log lies.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], home: Home) -> None:
        self.name = name
        self.log = home.logs / f"{name}.log"
        self._command, self._environment, self._folder = list(command), dict(environment), home.empty
        self._wait, self._begun, self._again_at = FIRST_WAIT, 0.0, 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: LogPipe | None = None

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C in the terminal is for `up`, which stops them in order."""
        self._begun, self._again_at = time.monotonic(), 0.0
        self._process = subprocess.Popen(  # noqa: S603
            self._command,
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self._pipe = LogPipe(self._process.stdout, self.log)  # type: ignore[arg-type]

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def last_lines(self) -> list[str]:
        """The last that it has printed."""
        return list(self._pipe.last) if self._pipe else []

    def tend(self) -> bool:
        """Start it again if it is dead and has waited long enough. Whether it was started."""
        if self.is_alive:
            return False
        now = time.monotonic()
        if not self._again_at:
            self._close()
            self._wait = FIRST_WAIT if now - self._begun > STEADY_SECONDS else self._wait
            self._again_at = now + self._wait
            logger.warning(
                "the %s ended (%s): started again in %.0f s; see %s", self.name, self._end, self._wait, self.log
            )
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        if now < self._again_at:
            return False
        try:
            self.start()
        except OSError as error:  # too many processes, no memory
            logger.warning("the %s could not be started: %s", self.name, error)
            self._again_at = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def finish(self) -> None:
        """Collect it and its log, once it was stopped."""
        if self._process is not None:
            try:
                self._process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._close()

    @property
    def _end(self) -> str:
        code = self._process.returncode if self._process else 0
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def _close(self) -> None:
        if self._pipe is not None:
            self._pipe.close()


def server(environment: Mapping[str, str], home: Home) -> Child:
    """The Prefect server."""
    return Child("server", [*_prefect(), "server", "start"], environment, home)


def worker(pool: str, environment: Mapping[str, str], home: Home) -> Child:
    """The worker of a work pool, which runs one flow after the other."""
    command = [*_prefect(), "worker", "start", "--pool", pool, "--type", "process", "--limit", "1"]
    name = f"{home.worker_name}-{pool}"
    return Child(f"worker-{pool}", [*command, "--name", name, "--install-policy", "never"], environment, home)


class Watch:
    """The process that stops everything below `up` if `up` is killed: deployments/up/watch.py."""

    def __init__(self, environment: Mapping[str, str], home: Home) -> None:
        # Without the mark of what is to be stopped: it stops the others.
        self._environment = {name: one for name, one in environment.items() if name != CHILD_OF_UP}
        self._home = home
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "deployments.up.watch", str(self._home.folder), str(os.getpid())]
        return subprocess.Popen(  # noqa: S603
            command,
            env=self._environment,
            cwd=self._home.empty,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def tend(self) -> None:
        """Start it again if it is dead."""
        if self._process.poll() is not None:
            with suppress(OSError):  # next time
                self._process = self._started()

    def finish(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


def _prefect() -> list[str]:
    return [sys.executable, "-P", "-m", "prefect", "--no-prompt"]
