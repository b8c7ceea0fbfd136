"""Find and stop the processes of a home: server, workers, and everything that they have started.

They are found by a variable in their environment, which children inherit. A process group would not do: Prefect
starts each flow run in a session of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from skinml.process.switches import CHILD_OF_UP

RUN = "PREFECT__FLOW_RUN_ID"
"""The variable by which Prefect's worker tells a process which flow run it is."""

STOP_SECONDS = 12.0
"""How long a process may take after SIGTERM. A run of skinml takes 9 s at most: process/interrupts.py."""


def mark(home: Path, pid: int) -> dict[str, str]:
    """The variable that marks what is below the `up` with this process id."""
    return {CHILD_OF_UP: f"{pid} {home}"}


def below(home: Path, pid: int | None = None) -> list[psutil.Process]:
    """All living processes below the `up` with this id, None for any `up` of the home; never this process."""
    found = []
    for process in psutil.process_iter():
        number, _, folder = _variables(process).get(CHILD_OF_UP, "").partition(" ")
        if process.pid != os.getpid() and folder == str(home) and (pid is None or number == str(pid)):
            found.append(process)
    return found


def running_flow_runs(home: Path) -> set[str]:
    """The ids of the flow runs that a process below this home is running."""
    return {_variables(process).get(RUN, "") for process in below(home)} - {""}


def is_flow(process: psutil.Process) -> bool:
    """Whether it is the first process of a flow run, which stops its own children."""
    if RUN not in _variables(process):
        return False
    try:
        parent = process.parent()
    except psutil.Error:
        return False
    return parent is None or RUN not in _variables(parent)


def stop(
    home: Path,
    pid: int | None = None,
    which: Callable[[psutil.Process], bool] = lambda _: True,
    seconds: float = STOP_SECONDS,
) -> int:
    """Send SIGTERM to what is `below`, and SIGKILL to what is left after some seconds. Returns how many."""
    victims = [process for process in below(home, pid) if which(process)]
    _send(victims, signal.SIGTERM)
    psutil.wait_procs(victims, timeout=seconds)
    left = [process for process in below(home, pid) if which(process)]  # they may have had children since
    _send(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5.0)
    return len(victims)


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _variables(process: psutil.Process) -> dict[str, str]:
    """The environment of a process of this user; empty if it is gone, a zombie, or somebody else's."""
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return {}
        variables: dict[str, str] = process.environ()
    except (psutil.Error, OSError):
        return {}
    return variables
