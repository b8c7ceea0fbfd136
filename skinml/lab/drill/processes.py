"""Start runs as processes, watch them through /proc, kill them, and find the processes that are left."""

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
"""How often to check a running process."""


def start(
    command: Sequence[str], environment: Mapping[str, str], log: Path, out: Path
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that everything it starts can be found again.

    Args:
        command: program and arguments.
        environment: the whole environment.
        log: file for its stderr.
        out: file for its stdout.
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
    """Wait for a process to end and return its exit code; None after this many seconds.

    Args:
        process: the process.
        seconds: the longest wait.
        meanwhile: called repeatedly.
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
    """Return the living processes of a session, also those whose parent has died."""
    found = []
    for folder in PROCESSES.iterdir():
        with suppress(OSError):  # it has just ended
            if folder.name.isdigit():
                # state, parent, group, session: after the name, which may contain any character
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
    """Send SIGKILL; return False if the process had already ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def wait_until_gone(session: int, seconds: float) -> list[int]:
    """Wait until a session has no processes; kill and return those that are left after this many seconds."""
    deadline = time.monotonic() + seconds
    while left := members(session):
        if time.monotonic() > deadline:
            for pid in left:
                kill(pid)
            return left
        time.sleep(LOOK_SECONDS)  # polling, because they are not our children
    return []
