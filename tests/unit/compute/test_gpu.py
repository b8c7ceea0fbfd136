"""Tests of skinml/compute/gpu.py: a program runs on the worker that offers a GPU, and ends with who asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from skinml.compute.gpu import offers_gpu, run_on_gpu
from skinml.errors import RequestError, RunError
from tests.services.processes import wait_for
from tests.unit.compute import clusters

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROGRAM = '''
"""A program that says where it runs, does as it is told, and ends with who started it."""
import os, sys, threading
from distributed.utils import get_ip

def end_with_caller():
    sys.stdin.read()
    os._exit(1)

told = sys.stdin.readline().strip()
threading.Thread(target=end_with_caller, daemon=True).start()
print("told", told, flush=True)
print(os.getpid(), os.environ["OFFER"], os.environ["TMPDIR"], flush=True)
if told == "fail":
    sys.exit("it does not work")
if told == "wait":
    threading.Event().wait(600)
print("done", flush=True)
'''


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A scheduler with a worker that offers a GPU and one that does not, each with the program above."""
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "a_program.py").write_text(PROGRAM)
    with ExitStack() as running:
        scheduler = running.enter_context(clusters.scheduler(folder))
        for offer, flags in {"gpu": ["--nanny", "--resources", "GPU=1"], "plain": ["--nanny"]}.items():
            environment = {"PYTHONPATH": str(folder), "OFFER": offer}
            running.enter_context(
                clusters.worker(scheduler.address, folder, offer, environment=environment, flags=flags)
            )
        clusters.wait_for_workers(scheduler.address, 2)
        yield scheduler.address, folder


def test_a_program_runs_on_the_worker_with_a_gpu(cluster: tuple[str, Path]) -> None:
    address, _ = cluster
    assert offers_gpu(address)
    said: list[str] = []
    for _ in range(3):  # by chance, one time in eight
        run_on_gpu(address, "a_program", "go on", said.append)
    assert said[0::3] == ["told go on"] * 3
    assert [line.split()[1] for line in said[1::3]] == ["gpu"] * 3
    assert said[2::3] == ["done"] * 3
    assert not Path(said[1].split()[2]).exists()  # its temporary folder


def test_a_program_that_fails_fails_the_run(
    cluster: tuple[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RunError, match="ended with exit code 1"):
        run_on_gpu(cluster[0], "a_program", "fail", lambda _: None)
    assert "it does not work" in caplog.text


def test_a_program_ends_if_the_run_is_interrupted(cluster: tuple[str, Path]) -> None:
    pids: list[int] = []

    def on_line(line: str) -> None:
        if not line.startswith("told"):
            pids.append(int(line.split(maxsplit=1)[0]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on_gpu(cluster[0], "a_program", "wait", on_line)
    wait_for(lambda: not psutil.pid_exists(pids[0]), 60, "the end of the program")


def test_no_gpu_is_offered_by_local_processes_or_a_plain_cluster(tmp_path: Path) -> None:
    assert not offers_gpu(None)
    assert not offers_gpu("slurm:cluster.toml")
    with clusters.scheduler(tmp_path) as scheduler:
        assert not offers_gpu(scheduler.address)
    with pytest.raises(RequestError, match="no Dask scheduler answers"):
        offers_gpu("tcp://127.0.0.1:9")


def test_a_lost_worker_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skinml.compute.gpu.DESERTED_SECONDS", 3.0)
    monkeypatch.setattr("skinml.compute.gpu.ASK_SECONDS", 0.5)
    (tmp_path / "a_program.py").write_text(PROGRAM)
    environment = {"PYTHONPATH": str(tmp_path), "OFFER": "gpu"}
    begun = threading.Event()
    with clusters.scheduler(tmp_path) as scheduler, ExitStack() as running:
        flags = ["--resources", "GPU=1", "--no-nanny"]
        worker = running.enter_context(
            clusters.worker(scheduler.address, tmp_path, environment=environment, flags=flags)
        )
        clusters.wait_for_workers(scheduler.address, 1)

        def kill() -> None:
            begun.wait(60)
            worker.kill()

        threading.Thread(target=kill, daemon=True).start()
        with pytest.raises(RunError, match="no worker with a GPU for 3 s"):
            run_on_gpu(scheduler.address, "a_program", "wait", lambda _: begun.set())
