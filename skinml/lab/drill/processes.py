"""Runs as processes of their own: started, watched through /proc, killed, and whatever they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PROCESSES = Path("/proc")
LOOK_SECONDS = 0.1
"""How often a process is looked at while it runs."""


def start(
    command: Sequence[str], environment: Mapping[str, str], log: Path, out: Path
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that everything it starts can be found again.

    Args:
        command: program and arguments.
        environment: all of it.
        log: gets what it says on stderr.
        out: gets its stdout.
    """
    with log.open("wb") as errors, out.open("wb") as output:
        return subprocess.Popen(  # noqa: S603
            command,
            env=dict(environment),
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )


def wait(process: subprocess.Popen[bytes], seconds: float, meanwhile: Callable[[], None]) -> int | None:
    """Wait for a process to end; its exit code, None where it takes longer than this.

    Args:
        process: the process.
        seconds: how long it may take.
        meanwhile: called again and again.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return process.wait(timeout=LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            meanwhile()
            if time.monotonic() > deadline:
                return None


def members(session: int) -> list[int]:
    """The living processes of a session, also those whose parent has died."""
    found = []
    for folder in PROCESSES.iterdir():
        with suppress(OSError):  # it has just ended
            if folder.name.isdigit():
                # state, parent, group, session: behind the name, which may hold anything
                fields = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] not in "ZX":
                    found.append(int(folder.name))
    return sorted(found)


def workers(session: int) -> list[int]:
    """The Dask worker processes of a session."""
    found = []
    for pid in members(session):
        with suppress(OSError):
            if b"spawn_main" in (PROCESSES / str(pid) / "cmdline").read_bytes():
                found.append(pid)
    return found


def kill(pid: int) -> bool:
    """SIGKILL. False where the process had ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def wait_until_gone(session: int, seconds: float) -> list[int]:
    """Wait until nobody of a session is left; those who are after so many seconds, killed then."""
    deadline = time.monotonic() + seconds
    while left := members(session):
        if time.monotonic() > deadline:
            for pid in left:
                kill(pid)
            return left
        time.sleep(LOOK_SECONDS)  # there is nothing to wait on: they are nobody's children
    return []
