"""Tests of skinml/compute/local.py, on real Dask processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from distributed import Client as AnyClient

from skinml.compute import connect, map_shards
from skinml.process.scratch import scratch_folder
from tests.services.processes import wait_for
from tests.unit.compute import work

if TYPE_CHECKING:
    from distributed import Client

WORKERS = 2
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    work.state["made in the parent"] = True
    with connect(workers=WORKERS) as connected:
        yield connected


def test_workers_are_spawned_have_one_thread_and_listen_on_loopback(client: Client) -> None:
    assert list(client.nthreads().values()) == [1] * WORKERS
    assert all(address.startswith("tls://127.0.0.1:") for address in client.nthreads())
    seen = list(map_shards(client, work.who, range(20)))
    processes = {process for process, _, _ in seen}
    assert os.getpid() not in processes
    assert len(processes) == WORKERS
    assert {(inherited, threads) for _, inherited, threads in seen} == {(False, 1)}, "a worker was forked"


def test_files_of_workers_lie_in_the_scratch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def local_directory(dask_worker: object) -> str:
        return str(dask_worker.local_directory)  # type: ignore[attr-defined]

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_folder("score") as folder, connect(workers=1) as client:
        [place] = client.run(local_directory).values()
        assert Path(place).is_relative_to(folder)
    assert list(tmp_path.iterdir()) == []


# Who can reach it


OTHER_USER = """
import os, sys
from distributed import Client
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for address in sys.argv[1:]:
    try:
        Client(address, timeout=3, set_as_default=False)
        print("in")
    except BaseException as error:
        print(type(error).__name__)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes another user, as root can")
def test_another_user_of_the_machine_is_refused(client: Client) -> None:
    port = client.scheduler.address.rpartition(":")[2]
    addresses = [f"tcp://127.0.0.1:{port}", f"tls://127.0.0.1:{port}"]
    done = subprocess.run(
        [sys.executable, "-c", OTHER_USER, *addresses], capture_output=True, text=True, check=False, cwd="/"
    )
    assert len(done.stdout.split()) == 2, done.stderr
    assert "in" not in done.stdout.split()


def test_without_the_clusters_own_certificate_nobody_gets_in(client: Client) -> None:
    with pytest.raises(OSError, match=r"(?i)timed out|closed|ssl|connect"):
        AnyClient(client.scheduler.address.replace("tls://", "tcp://"), timeout=3, set_as_default=False)


def test_what_answers_over_http_says_nothing_of_the_run(client: Client) -> None:
    def worker_port(dask_worker: object) -> int:
        return int(dask_worker.http_server.port)  # type: ignore[attr-defined]

    def scheduler_port(dask_scheduler: object) -> int:
        return int(dask_scheduler.http_server.port)  # type: ignore[attr-defined]

    ports = [client.run_on_scheduler(scheduler_port), *client.run(worker_port).values()]
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.read() == b"ok"
        for page in ("info/main/workers.html", "json/identity.json", "metrics", "statics/css/base.css"):
            with pytest.raises(urllib.error.HTTPError) as refusal:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10)
            assert refusal.value.code == 404
            refusal.value.close()


# Ctrl-C


def test_workers_do_not_die_of_ctrl_c_and_neither_do_those_that_replace_them(tmp_path: Path) -> None:
    with connect(workers=WORKERS) as client:
        before = set(client.run(os.getpid).values())
        jobs = [(number, str(tmp_path)) for number in range(12)]
        assert sorted(map_shards(client, work.interrupt_once, jobs)) == list(range(12))
        wait_for(lambda: len(client.nthreads()) == WORKERS, 60, "the worker that replaces the dead one")
        after = set(client.run(os.getpid).values())
        assert len(after - before) == 1
        assert sorted(map_shards(client, work.interrupt_once, jobs)) == list(range(12))
        assert set(client.run(os.getpid).values()) == after


INTERRUPTED = """
import sys
from skinml.compute import connect, map_shards
from skinml.process.scratch import scratch_folder

if __name__ == "__main__":
    try:
        with connect(workers=2) as client:
            print("up", flush=True)
            list(map_shards(client, abs, range(10**9)))
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize(
    "workers_up",
    [
        # tests/flows/test_run_records.py has the same for a whole run.
        pytest.param(False, id="while workers start", marks=pytest.mark.drill),
        pytest.param(True, id="while they work"),
    ],
)
def test_ctrl_c_ends_a_run_without_a_traceback(tmp_path: Path, workers_up: bool) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    if workers_up:
        assert process.stdout.readline() == "up\n"
    else:
        wait_for(lambda: len(children(process.pid)) >= 2, 60, "worker processes")
    os.killpg(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.splitlines()[-1:] == ["interrupted"]
    assert errors == ""


def children(process: int) -> list[str]:
    """The processes that a process has started."""
    found = subprocess.run(
        ["ps", "--ppid", str(process), "-o", "pid="], capture_output=True, text=True, check=False
    )
    return found.stdout.split()


SLOW_TO_END = """
import logging
import distributed.process
from skinml.compute import connect, map_shards
from skinml.process.scratch import scratch_folder

async def still_there(process, timeout=None):
    raise TimeoutError

if __name__ == "__main__":
    logging.basicConfig()
    with connect(workers=1) as client:
        print(*map_shards(client, abs, [-3]))
        distributed.process.AsyncProcess.join = still_there
    print("after")
"""
"""Dask's own answer where a killed worker is not gone in 5 s; everything else is real."""


def test_workers_that_are_slow_to_end_fail_no_run(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(SLOW_TO_END)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["3", "after"]), done.stderr
    assert "workers took too long to stop (TimeoutError)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(shutil.which("ps") is None, reason="asks ps")
def test_no_worker_is_left(client: Client) -> None:
    with connect(workers=1) as own:
        [process] = own.run(os.getpid).values()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
