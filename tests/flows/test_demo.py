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
from skinml.lab.synth import make_archive
from skinml.requests.lab import DemoRequest

STEP = """
import sys
from flows.demo import _skinml
from skinml.process import interrupts
with interrupts.raised():
    _skinml(*sys.argv[1:])
"""


@pytest.mark.slow
def test_a_signal_to_the_demo_ends_its_step_in_order(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", 200, 0.0, 1)
    workspace = tmp_path / "workspace"
    roots = [part for root in archive.roots for part in ("--images", root)]
    step = ["--workspace", workspace, "prepare", *roots, "--metadata", archive.metadata]
    command = [sys.executable, "-c", STEP, *map(str, step)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(workspace.glob("under_way/*.json")):  # the suite's timeout ends this
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
