"""Identify a process beyond its id, which the system uses again: machine, boot and start time."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psutil

LABEL = "skinml.process"
"""Begins the names of labels that hold what identifies the process of a run."""


def this_process() -> dict[str, Any]:
    """Identify this process: its machine, the boot of that machine, its process id and start time."""
    import psutil

    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "system": system(),
        "pid": process.pid,
        "process_started": started(process),
    }


def is_on_this_machine(host: str, of_system: str) -> bool:
    """Whether a process id of that host and system means anything here."""
    return (host, of_system) == (socket.gethostname(), system())


def is_alive_here(pid: int, process_started: float) -> bool:
    """Whether that process of this machine is alive: the same id with the same start time, and no zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        same = abs(started(process) - process_started) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # the process exists and belongs to another user
        return True


def started(process: psutil.Process) -> float:
    """Return the start time of a process: the same for every process that asks, also after a clock change."""
    import psutil

    # Linux counts from the boot; psutil adds the boot time, which it computes from the current clock.
    return float(process.create_time() - (psutil.boot_time() if psutil.LINUX else 0.0))


def system() -> str:
    """Identify the system in which a process id is unique: one boot of a machine, in Linux one namespace."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if boot.exists() and namespace.is_symlink():
        return f"{boot.read_text().strip()} {namespace.readlink()}"
    import psutil

    return f"{psutil.boot_time():.0f}"
