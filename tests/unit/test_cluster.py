"""Tests of skinml/cluster.py, on real Dask processes."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from skinml import cluster
from skinml.cluster import AHEAD, connect, map_shards
from skinml.errors import ImageRejected, Reason, RequestError, RunError

if TYPE_CHECKING:
    from distributed import Client

WORKERS = 2
state = {"made in the parent": False}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    state["made in the parent"] = True
    with connect(workers=WORKERS) as connected:
        yield connected


# What the workers do


def square(number: int) -> int:
    return number * number


def draw(_: int) -> str:
    return secrets.token_hex(8)


def who(_: int) -> tuple[int, bool, int]:
    from distributed import get_worker

    return os.getpid(), state["made in the parent"], get_worker().state.nthreads


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ImageRejected(Reason.TRUNCATED, "shard 3 is bad")
    return number


def out_of_range(number: int) -> int:
    return [0][number]


def die_once(job: tuple[int, str]) -> int:
    """Shard 2 kills its worker the first time that it is done."""
    number, folder = job
    if number == 2:
        try:
            Path(folder, "died").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# Local processes


def test_workers_are_spawned_have_one_thread_and_listen_on_loopback(client: Client) -> None:
    assert list(client.nthreads().values()) == [1] * WORKERS
    assert all(address.startswith("tcp://127.0.0.1:") for address in client.nthreads())
    seen = list(map_shards(client, who, range(20)))
    processes = {process for process, _, _ in seen}
    assert os.getpid() not in processes
    assert len(processes) == WORKERS
    assert {(inherited, threads) for _, inherited, threads in seen} == {(False, 1)}, "a worker was forked"


def test_every_outcome_comes_once(client: Client) -> None:
    outcomes = Counter(map_shards(client, square, iter(range(200))))
    assert outcomes == Counter(number * number for number in range(200))
    assert list(map_shards(client, square, [])) == []
    assert list(map_shards(client, square, [7])) == [49]
    tokens = list(map_shards(client, draw, [3, 3, 3]))
    assert len(set(tokens)) == 3, "equal shards are shards of their own"


def test_shards_are_taken_as_workers_get_free(client: Client) -> None:
    taken: list[int] = []

    def shards() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    outcomes = map_shards(client, square, shards())
    assert taken == []
    for done in range(1, 101):
        next(outcomes)
        assert len(taken) <= min(100, WORKERS * AHEAD + done - 1)
    assert next(outcomes, None) is None


def test_an_exception_of_a_shard_comes_as_itself(client: Client) -> None:
    with pytest.raises(ImageRejected) as raised:
        list(map_shards(client, fail_at_three, range(100)))
    assert (raised.value.reason, raised.value.detail) == (Reason.TRUNCATED, "shard 3 is bad")
    with pytest.raises(IndexError):
        list(map_shards(client, out_of_range, [0, 1]))
    assert sorted(map_shards(client, square, range(5))) == [0, 1, 4, 9, 16], "the cluster works on"


def test_a_caller_may_stop_half_way(client: Client) -> None:
    shards = iter(range(1000))
    outcomes = map_shards(client, square, shards)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]  # a generator
    assert next(shards) == WORKERS * AHEAD, "more shards were taken"
    assert sorted(map_shards(client, square, range(3))) == [0, 1, 4]


# A scheduler's address


def test_an_existing_scheduler_is_used_and_left_alone(client: Client) -> None:
    address = client.scheduler.address
    with connect(address) as other:
        assert other.scheduler.address == address
        assert sorted(map_shards(other, square, range(3))) == [0, 1, 4]
    assert sorted(map_shards(client, square, range(3))) == [0, 1, 4]


@pytest.mark.parametrize(
    "address", ["nonsense", "127.0.0.1", "http://127.0.0.1:8786", "tcp://", "tcp://127.0.0.1:x"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(RequestError) as refusal, connect(address):
        pass
    assert str(refusal.value) == f"--cluster {address}: no Dask scheduler answers there"


def test_where_no_scheduler_answers_it_says_so_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody at one port, and somebody who says nothing at another."""
    assert cluster.ANSWER_SECONDS <= 12, "a person waits for this"
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 1)  # the test waits as well

    def refused(address: str) -> tuple[str, float]:
        started = time.monotonic()
        with pytest.raises(RequestError) as refusal, connect(address):
            pass
        return str(refusal.value), time.monotonic() - started

    with socket.socket() as silent, socket.socket() as closed, ThreadPoolExecutor() as pool:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))  # bound, not listening
        addresses = [f"tcp://127.0.0.1:{end.getsockname()[1]}" for end in (silent, closed)]
        for address, (refusal, seconds) in zip(addresses, pool.map(refused, addresses), strict=True):
            assert refusal == f"--cluster {address}: no Dask scheduler answers there"
            assert seconds < 6


# Workers that die


def test_a_shard_whose_worker_dies_is_done_again(tmp_path: Path) -> None:
    with connect(workers=8, shards=WORKERS) as client:
        assert len(client.nthreads()) == WORKERS, "no more workers than shards"
        outcomes = sorted(map_shards(client, die_once, [(number, str(tmp_path)) for number in range(12)]))
    assert (tmp_path / "died").exists()
    assert outcomes == list(range(12))


def test_a_shard_that_kills_every_worker_fails_the_run() -> None:
    with (
        connect(workers=1) as client,
        pytest.raises(RunError, match="workers died over and over on one shard"),
    ):
        list(map_shards(client, die, [0]))


SLOW_TO_END = """
import logging
import distributed.process
from skinml.cluster import connect, map_shards

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
    assert "workers took too long to end (TimeoutError)" in done.stderr
    assert "Traceback" not in done.stderr
