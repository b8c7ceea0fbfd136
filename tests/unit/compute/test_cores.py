"""Tests of skinml/compute/cores.py: how much can be done at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skinml.compute import connect, width
from tests.unit.compute import clusters

COUNT = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from skinml.compute import cores
import sys
assert "dask" not in sys.modules, "importing skinml.compute loads no Dask"
print(cores())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="sets the cores of a process, as Linux can")
def test_cores_are_those_that_this_process_may_use() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]


def test_work_is_cut_for_the_threads_of_the_cluster(tmp_path: Path) -> None:
    with connect(workers=2) as client:
        assert width(client) == width(client, 2) == 2
    with clusters.scheduler(tmp_path) as scheduler, connect(scheduler.address) as client:
        assert width(client) == 8, "it has no worker yet and may grow"
        assert width(client, 64) == 64
        with clusters.worker(scheduler.address, tmp_path, threads=12):
            clusters.wait_for_workers(scheduler.address, 1)
            assert width(client) == 12
