"""Tests of skinml/lab/drill/lanes.py: a lane does not outlive the drill."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from skinml.errors import RunError
from skinml.lab.drill.lanes import _lane
from skinml.lab.drill.plan import Site, rounds
from skinml.lab.drill.rounds import Setting

A_RUN_THAT_DOES_NOT_END = (sys.executable, "-c", "import time; print('under way', flush=True); time.sleep(600)")


def test_a_lane_whose_drill_ends_leaves_its_round(tmp_path: Path) -> None:
    for name in ("bundle", "archive"):
        (tmp_path / name).mkdir()
    setting = Setting(
        A_RUN_THAT_DOES_NOT_END, tmp_path / "bundle", tmp_path / "archive", 1, tmp_path / "rounds", 1
    )
    started: list[psutil.Process] = []
    with pytest.raises(RunError), _lane(setting, 0) as lane:  # noqa: PT012
        lane.line.send(next(rounds(0, [Site.FOLDER])))
        while not started:  # the suite's timeout ends this if no run ever starts
            started = psutil.Process(lane.process.pid).children(recursive=True)
        began = time.monotonic()
        raise RunError("as when a signal comes")
    assert time.monotonic() - began < 20
    assert not psutil.wait_procs(started, timeout=5)[1]
