"""An existing Dask cluster: a real scheduler and two real workers, started by Dask's own command."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from skinml import tables
from skinml.schemas import PROBABILITY_COLUMNS
from tests.command import CommandLine
from tests.conftest import MadeUp
from tests.services.processes import service, wait_for
from tests.unit.compute import clusters


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two workers."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    with ExitStack() as running:
        start = [*clusters.SCHEDULER, "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        start += ["--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)]
        running.enter_context(service(start, {}, folder / "scheduler.log"))
        wait_for(lambda: file.exists() and bool(file.read_text()), 60, "the Dask scheduler")
        for number in range(2):
            worker = [*clusters.WORKER, "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard"]
            worker += ["--local-directory", str(folder), "--host", "127.0.0.1"]
            running.enter_context(service(worker, {}, folder / f"worker-{number}.log"))
        yield json.loads(file.read_text())["address"]


def test_an_existing_cluster_gives_the_same_rows_as_local_processes(
    scheduler: str, trained: Path, tmp_path: Path, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for number in range(40):
        (archive / f"{number:03}.jpg").write_bytes(jpeg(number) if number % 10 else b"broken")
    found = {}
    for name, cluster in {"local": [], "existing": ["--cluster", scheduler]}.items():
        workspace = shutil.copytree(trained, tmp_path / name)
        result = skinml("--workspace", workspace, "score", "--archive", archive, *cluster).result
        assert (result["scored"], result["quarantined"]) == (36, 4)
        scores = tables.read(str(workspace), "scores").to_pandas().sort_values("uri", ignore_index=True)
        found[name] = scores[["uri", "etag", *PROBABILITY_COLUMNS]]
    pd.testing.assert_frame_equal(found["local"], found["existing"])


def test_a_scheduler_that_is_not_there_is_said(trained: Path, tmp_path: Path, skinml: CommandLine) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(b"broken")
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    address = "tcp://127.0.0.1:9"
    answer = skinml("--workspace", workspace, "score", "--archive", archive, "--cluster", address, expect=2)
    assert f"--cluster {address}: no Dask scheduler answers at this address" in answer.stderr


# Clusters that cannot do the work


def test_a_cluster_without_workers_is_refused_and_nothing_is_written(
    trained: Path, tmp_path: Path, skinml: CommandLine
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(b"broken")
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    before = files_of(workspace)
    with clusters.scheduler(tmp_path) as scheduler:
        asked = ["--workspace", workspace, "score", "--archive", archive, "--cluster", scheduler.address]
        answer = skinml(*asked, "--cluster-wait", "1", expect=2)
    assert f"--cluster {scheduler.address}: 0 of 1 workers came within 1 s" in answer.stderr
    assert files_of(workspace) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace of its own, as root can have one")
def test_a_workspace_that_a_worker_does_not_see_is_refused_and_nothing_is_written(
    made_up: MadeUp, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    before = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs tmpfs "{workspace}" && exec "$@"', "sh"]
    with (
        clusters.scheduler(tmp_path) as scheduler,
        clusters.worker(scheduler.address, tmp_path, before=before),
    ):
        clusters.wait_for_workers(scheduler.address, 1)
        asked = ["--workspace", workspace, "prepare", *made_up.flags(), "--size", 16]
        answer = skinml(*asked, "--cluster", scheduler.address, expect=2)
    assert f"does not see the workspace {workspace}" in answer.stderr
    assert list(workspace.iterdir()) == []


def files_of(folder: Path) -> list[Path]:
    """Everything below a folder."""
    return sorted(folder.rglob("*"))
