"""`skinml score --cluster slurm:FILE` on a real Slurm. `make drill-slurm` installs it and runs this."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from skinml import tables
from skinml.schemas import PROBABILITY_COLUMNS
from tests.services import slurm as batch
from tests.services.processes import wait_for
from tests.services.slurm import Slurm

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not batch.is_installed(), reason="needs Debian's slurm-wlm and munge"),
]

IMAGES = 300


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with (
        tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder,
        batch.running(Path(folder)) as running,
    ):
        yield running


@pytest.fixture
def archive(tmp_path: Path, jpeg: Callable[..., bytes]) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(IMAGES):
        (folder / f"{number:03}.jpg").write_bytes(jpeg(number) if number % 10 else b"broken")
    return folder


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def file(tmp_path: Path, shared: Path) -> Path:
    file = tmp_path / "cluster.toml"
    lines = ["workers = 2", 'memory = "1 GiB"', 'walltime = "00:10:00"', 'host = "127.0.0.1"']
    lines += [f'shared_directory = "{shared}"', f'log_directory = "{tmp_path / "jobs"}"']
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def command(workspace: Path, archive: Path, cluster: str, *more: object) -> list[str]:
    asked = ["--workspace", workspace, "score", "--archive", archive, "--cluster", cluster, *more]
    return [sys.executable, "-P", "-m", "skinml", "--json", *map(str, asked)]


def score(slurm: Slurm, *asked: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **slurm.environment()}
    return subprocess.run(command(*asked), env=environment, capture_output=True, text=True, check=False)  # type: ignore[arg-type]


@contextmanager
def scoring(
    slurm: Slurm, log: Path, *asked: object, since: str = "scheduler at"
) -> Iterator[subprocess.Popen[bytes]]:
    """A run that goes on, since it has said something and its two jobs run."""
    environment = {**os.environ, **slurm.environment()}
    with log.open("wb") as output:
        process = subprocess.Popen(command(*asked), env=environment, stdout=output, stderr=output)  # type: ignore[arg-type]
    try:
        wait_for(lambda: since in log.read_text() and len(slurm.running()) == 2, 120, "the run")
        yield process
    finally:
        process.kill()
        process.wait()


def test_slurm_gives_the_same_rows_as_local_processes(
    slurm: Slurm, trained: Path, archive: Path, file: Path, shared: Path, tmp_path: Path
) -> None:
    found = {}
    for cluster in ("local", f"slurm:{file}"):
        workspace = shutil.copytree(trained, tmp_path / cluster[:5])
        done = score(slurm, workspace, archive, cluster)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        assert (result["scored"], result["quarantined"]) == (IMAGES * 9 // 10, IMAGES // 10)
        rows = tables.read(str(workspace), "scores").to_pandas().sort_values("uri", ignore_index=True)
        found[cluster] = rows[["uri", "etag", *PROBABILITY_COLUMNS]]
    pd.testing.assert_frame_equal(*found.values())
    wait_for(lambda: slurm.queue() == [], 30, "the end of the jobs")
    assert list(shared.iterdir()) == []
    assert len(list((tmp_path / "jobs").glob("skinml-*.err"))) == 2


def test_a_partition_that_is_not_there_is_said_and_nothing_is_written(
    slurm: Slurm, trained: Path, archive: Path, file: Path, tmp_path: Path
) -> None:
    file.write_text(file.read_text(encoding="utf-8") + '\nqueue = "nowhere"', encoding="utf-8")
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    before = sorted(workspace.rglob("*"))
    done = score(slurm, workspace, archive, f"slurm:{file}")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"] == (
        f"--cluster slurm:{file}: the batch system refused the job: sbatch: error: invalid partition "
        "specified: nowhere"
    )
    assert sorted(workspace.rglob("*")) == before


def test_jobs_that_wait_in_the_queue_are_said_and_cancelled(
    slurm: Slurm, trained: Path, archive: Path, file: Path, tmp_path: Path
) -> None:
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    done = score(slurm, workspace, archive, f"slurm:{file}", "--workers", 5, "--cluster-wait", 10)
    assert done.returncode == 2
    assert (
        "2 of 5 workers came within 10 s; their jobs may still wait in the queue (squeue shows it)"
        in done.stdout
    )
    wait_for(lambda: slurm.queue() == [], 30, "the end of the jobs")


def test_a_signal_cancels_the_jobs(
    slurm: Slurm, trained: Path, archive: Path, file: Path, shared: Path, tmp_path: Path
) -> None:
    workspace, log = shutil.copytree(trained, tmp_path / "workspace"), tmp_path / "log"
    with scoring(slurm, log, workspace, archive, f"slurm:{file}") as process:
        started = time.monotonic()
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
        assert time.monotonic() - started < 10
    assert "took too long" not in log.read_text()
    wait_for(lambda: slurm.queue() == [], 30, "the end of the jobs")
    assert list(shared.iterdir()) == []


def test_a_killed_run_leaves_no_jobs_behind(
    slurm: Slurm, trained: Path, archive: Path, file: Path, tmp_path: Path
) -> None:
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    with scoring(slurm, tmp_path / "log", workspace, archive, f"slurm:{file}") as process:
        process.kill()
        process.wait()
        wait_for(lambda: slurm.queue() == [], 120, "the end of the jobs, whose scheduler is gone")


def test_a_controller_that_hangs_does_not_hold_up_a_signal(
    slurm: Slurm, trained: Path, archive: Path, file: Path, tmp_path: Path
) -> None:
    workspace, log = shutil.copytree(trained, tmp_path / "workspace"), tmp_path / "log"
    with scoring(slurm, log, workspace, archive, f"slurm:{file}") as process:
        slurm.controller.send_signal(signal.SIGSTOP)
        try:
            started = time.monotonic()
            process.terminate()
            assert process.wait(timeout=30) == 128 + signal.SIGTERM
            assert time.monotonic() - started < 11
        finally:
            slurm.controller.send_signal(signal.SIGCONT)
    wait_for(lambda: slurm.queue() == [], 120, "the end of the jobs, whose scheduler is gone")


def test_a_job_that_is_cancelled_by_somebody_else_costs_nothing(
    slurm: Slurm, trained: Path, archive: Path, file: Path, tmp_path: Path
) -> None:
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    many = [archive / f"{number:03}.jpg" for number in range(IMAGES) if number % 10]
    for copy in range(20):  # for seconds
        for image in many:
            os.link(image, archive / f"{image.stem}-{copy}.jpg")
    asked = (workspace, archive, f"slurm:{file}")
    with scoring(slurm, tmp_path / "log", *asked, since="images listed") as process:
        slurm.cancel(slurm.running()[0])
        assert process.poll() is None, "the run was over before"
        assert process.wait(timeout=120) == 0, (tmp_path / "log").read_text()
    assert len(tables.read(str(workspace), "scores")) == 21 * len(many)
