"""Tests of flows/demo.py: what becomes of a step when the demo is ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.demo import demo
from skinml import tables
from skinml.errors import RequestError
from skinml.requests.lab import DemoRequest
from tests.conftest import MadeUp
from tests.services.processes import wait_for

STEP = """
import sys
from flows.demo import _skinml
from skinml.process import interrupts
with interrupts.raised():
    _skinml(*sys.argv[1:])
"""


@pytest.mark.slow
def test_a_signal_to_the_demo_ends_its_step_in_order(made_up: MadeUp, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    step = ["--workspace", workspace, "prepare", *made_up.flags()]
    command = [sys.executable, "-c", STEP, *map(str, step)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        begun = lambda: process.poll() is not None or any(workspace.glob("under_way/*.json"))  # noqa: E731
        wait_for(begun, 120, "the record of a run under way")
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate()
    [row] = tables.read(str(workspace), "runs").to_pylist()
    assert (row["status"], row["error"]) == ("failed", "ended by SIGTERM")
    assert not list(workspace.glob("under_way/*.json"))


def test_a_base_install_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # neither found nor imported any more
    with pytest.raises(RequestError, match="train needs matplotlib, not installed here"):
        demo(DemoRequest(out=str(tmp_path / "demo"), images=100))
    assert not list(tmp_path.iterdir())
