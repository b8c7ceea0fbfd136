"""Tests of skinml/lab/drill/processes.py: children are found and ended, also orphans."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from skinml.lab.drill import processes

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)", "spawn_main"])
print(child.pid, flush=True)
time.sleep(100)
"""


def nothing() -> None:
    pass


def test_whoever_outlives_a_run_is_found_and_ended(tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = processes.start([sys.executable, str(script)], os.environ, log, out)
    while not (text := out.read_text()).endswith("\n"):
        assert processes.wait(parent, 0.1, nothing) is None
    child = int(text)

    assert processes.members(parent.pid) == sorted([parent.pid, child])
    assert processes.workers(parent.pid) == [child]
    assert processes.kill(parent.pid)
    assert processes.wait(parent, 20, nothing) == -signal.SIGKILL
    assert not processes.kill(parent.pid)
    assert processes.members(parent.pid) == [child], "its parent is dead, its session is the same"

    assert processes.wait_until_gone(parent.pid, 0.1) == [child]
    assert processes.wait_until_gone(parent.pid, 20) == []


def test_waiting_calls_what_is_to_be_done_meanwhile_and_has_an_end(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(100)"]
    slow = processes.start(command, os.environ, tmp_path / "log", tmp_path / "out")
    calls: list[None] = []
    assert processes.wait(slow, 0.2, lambda: calls.append(None)) is None
    assert calls
    processes.kill(slow.pid)
    assert processes.wait(slow, 20, nothing) == -signal.SIGKILL
