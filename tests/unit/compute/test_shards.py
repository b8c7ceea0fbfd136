"""Tests of skinml/compute/shards.py, on real Dask processes."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dask
import pytest
from distributed import LocalCluster

from skinml.compute import NOT_YET, NotYet, call, connect, map_shards
from skinml.compute.shards import AHEAD, LEAST_UNDER_WAY, WAITS
from skinml.errors import ImageRejected, Reason, RunError, StorageError
from tests.services.processes import wait_for
from tests.unit.compute import clusters, work

if TYPE_CHECKING:
    from distributed import Client

WORKERS = 2


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with connect(workers=WORKERS) as connected:
        yield connected


def test_every_outcome_comes_once(client: Client) -> None:
    outcomes = Counter(map_shards(client, work.square, iter(range(200))))
    assert outcomes == Counter(number * number for number in range(200))
    assert list(map_shards(client, work.square, [])) == []
    assert list(map_shards(client, work.square, [7])) == [49]
    tokens = list(map_shards(client, work.draw, [3, 3, 3]))
    assert len(set(tokens)) == 3, "equal shards are shards of their own"


def test_calls_are_answered_in_order(client: Client) -> None:
    assert call(client, partial(work.square, 3), partial(work.square, 2), os.getpid)[:2] == [9, 4]


def test_shards_are_taken_as_workers_get_free(client: Client) -> None:
    taken: list[int] = []

    def shards() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    outcomes = map_shards(client, work.square, shards())
    assert taken == []
    for done in range(1, 101):
        next(outcomes)
        assert len(taken) <= min(100, WORKERS * AHEAD + done - 1)
    assert next(outcomes, None) is None


def test_a_shard_may_depend_on_the_results_before_it(client: Client) -> None:
    known: list[int] = []

    def doubling() -> Iterator[int | NotYet]:
        yield 2
        for needed in (1, 2, 3):
            while len(known) < needed:
                yield NOT_YET
            yield known[-1]

    for outcome in map_shards(client, work.square, doubling()):
        known.append(outcome)
    assert known == [4, 16, 256, 65_536]


def test_a_shard_that_waits_for_nothing_fails_the_run(client: Client) -> None:
    with pytest.raises(RunError, match="waits for results, and no shard is running"):
        list(map_shards(client, work.square, [NOT_YET]))


def test_an_exception_of_a_shard_comes_as_itself(client: Client) -> None:
    with pytest.raises(ImageRejected) as raised:
        list(map_shards(client, work.fail_at_three, range(100)))
    assert (raised.value.reason, raised.value.detail) == (Reason.TRUNCATED, "shard 3 is bad")
    with pytest.raises(IndexError):
        list(map_shards(client, work.out_of_range, [0, 1]))
    assert sorted(map_shards(client, work.square, range(5))) == [0, 1, 4, 9, 16], "the cluster works on"


def test_a_caller_may_stop_half_way(client: Client) -> None:
    shards = iter(range(1000))
    outcomes = map_shards(client, work.square, shards)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]  # a generator
    assert next(shards) == WORKERS * AHEAD, "more shards were taken"
    assert sorted(map_shards(client, work.square, range(3))) == [0, 1, 4]


# Workers that die


def test_a_shard_whose_worker_dies_is_done_again(tmp_path: Path) -> None:
    with connect(workers=8, shards=WORKERS) as client:
        assert len(client.nthreads()) == WORKERS, "no more workers than shards"
        outcomes = sorted(map_shards(client, work.die_once, [(number, str(tmp_path)) for number in range(12)]))
    assert (tmp_path / "died").exists()
    assert outcomes == list(range(12))


def test_a_shard_that_kills_every_worker_fails_the_run() -> None:
    with (
        connect(workers=1) as client,
        pytest.raises(RunError, match="one shard killed every worker that ran it"),
    ):
        list(map_shards(client, work.die, [0]))


def test_a_shard_that_kills_every_worker_can_be_a_result() -> None:
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), connect(workers=1) as client:
        [said] = map_shards(client, work.die, [7], killed=lambda shard, reason: f"{shard}: {reason}")
    assert str(said).startswith("7: it killed every worker that ran it")


# Storage that fails


def tries(folder: Path) -> Counter[int]:
    return Counter(
        {int(log.name.removeprefix("tries-")): len(log.read_text().splitlines()) for log in folder.iterdir()}
    )


def test_a_shard_that_storage_failed_is_tried_again_by_itself(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("skinml.compute.shards.WAITS", (0.4, 0.8, 1.2))
    jobs = [(number, str(tmp_path), 2) for number in range(30)]
    with caplog.at_level(logging.WARNING, "skinml.compute"):
        outcomes = list(map_shards(client, work.storage_fails, jobs, total=30))
    assert sorted(outcomes) == list(range(30))
    assert outcomes[-1] == 2, "the others went on meanwhile"
    assert tries(tmp_path) == Counter({number: 3 if number == 2 else 1 for number in range(30)})
    first, second, third = map(float, (tmp_path / "tries-2").read_text().split())
    assert second - first >= 0.2
    assert third - second >= 0.4, "the second wait is longer"
    said = "shard 3 of 30 failed: s3://bucket/shard-2: 503 slow down; attempt {} of 4 in {} s"
    assert caplog.messages == [said.format(2, 0), said.format(3, 1 if "in 1 s" in caplog.messages[1] else 0)]


def test_a_shard_that_storage_fails_four_times_fails_the_run(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 20 <= sum(WAITS) <= 60, "a store that restarts is back by then, and nobody waits for minutes"
    monkeypatch.setattr("skinml.compute.shards.WAITS", (0.1, 0.1, 0.1))
    with pytest.raises(StorageError, match="503 slow down"):
        list(map_shards(client, work.storage_fails, [(number, str(tmp_path), 99) for number in range(5)]))
    assert tries(tmp_path)[2] == 4


# What a worker process does first


def count_calls(folder: str) -> None:
    with Path(folder, str(os.getpid())).open("a") as file:
        file.write("x")


def refuse(folder: str) -> None:
    raise RunError(f"{folder}: not found")


def test_a_worker_process_is_checked_once_before_its_first_shard(client: Client, tmp_path: Path) -> None:
    for _ in range(2):
        list(map_shards(client, work.square, range(40), check=partial(count_calls, str(tmp_path))))
    assert [file.read_text() for file in tmp_path.iterdir()] == ["x"] * WORKERS


def test_a_worker_that_fails_the_check_is_named_and_does_no_shard(client: Client, tmp_path: Path) -> None:
    jobs = [(number, str(tmp_path), 0) for number in range(5)]
    with pytest.raises(RunError) as refusal:
        list(map_shards(client, work.storage_fails, jobs, check=partial(refuse, "/somewhere")))
    worker, _, rest = str(refusal.value).removeprefix("worker ").partition(": ")
    assert worker in client.nthreads()
    assert rest == "/somewhere: not found"
    assert list(tmp_path.iterdir()) == []


def fail_once(folder: str) -> None:
    marker = Path(folder, "failed")
    if not marker.exists():
        marker.touch()
        raise StorageError("503 slow down")


def test_storage_that_fails_in_the_check_costs_a_try_and_names_the_worker(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("skinml.compute.shards.WAITS", (0.01, 0.01, 0.01))
    with caplog.at_level(logging.WARNING, "skinml.compute"):
        found = list(map_shards(client, work.square, range(5), check=partial(fail_once, str(tmp_path))))
    assert sorted(found) == [0, 1, 4, 9, 16]
    assert re.search(r"shard \d failed: worker tls://[0-9.:]+: 503 slow down; attempt 2 of 4", caplog.text)


# Clusters that grow, shrink and go away


def test_shards_under_way_follow_an_adaptive_cluster() -> None:
    """It begins without a worker, and starts a second one only if enough waits: 5 s of work for each."""
    with (
        LocalCluster(
            n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        connect(cluster.scheduler_address) as client,
    ):
        cluster.adapt(minimum=0, maximum=2, interval="100ms")
        outcomes = map_shards(client, work.take_a_tenth, range(1000))
        next(outcomes)
        others = LEAST_UNDER_WAY - 1  # the first one is done, and the scheduler may have forgotten it
        known = cluster.scheduler.tasks
        wait_for(lambda: len(known) >= others, 10, "as many shards as a cluster gets that may grow")
        wait_for(lambda: len(cluster.scheduler.workers) == 2, 60, "the second worker")
        outcomes.close()  # type: ignore[attr-defined]  # a generator


def test_a_worker_that_joins_late_gets_shards_and_is_checked(tmp_path: Path) -> None:
    checks = tmp_path / "checks"
    checks.mkdir()
    with clusters.scheduler(tmp_path) as scheduler, connect(scheduler.address) as client:
        outcomes = map_shards(client, work.take_a_tenth, range(1000), check=partial(count_calls, str(checks)))
        with clusters.worker(scheduler.address, tmp_path, "early"):
            next(outcomes)
            assert len(list(checks.iterdir())) == 1
            with clusters.worker(scheduler.address, tmp_path, "late"):
                for _ in outcomes:
                    if len(list(checks.iterdir())) == 2:
                        break
                else:
                    pytest.fail("the second worker did nothing")
        outcomes.close()  # type: ignore[attr-defined]  # a generator


def test_shards_do_not_wait_for_ever_for_workers_that_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skinml.compute.shards.DESERTED_SECONDS", 2.0)
    with clusters.scheduler(tmp_path) as scheduler, connect(scheduler.address) as client:
        with clusters.worker(scheduler.address, tmp_path):
            clusters.wait_for_workers(scheduler.address, 1)
            outcomes = map_shards(client, work.take_a_tenth, range(1000))
            next(outcomes)
        with pytest.raises(RunError, match="the cluster has had no workers for 2 s"):
            list(outcomes)


DYING_SCHEDULER = """
import logging, os, signal, sys, time
from skinml.compute import connect, map_shards
from skinml.errors import RunError
from tests.unit.compute.work import take_a_tenth

if __name__ == "__main__":
    logging.basicConfig()
    address, process = sys.argv[1:]
    killed = 0.0
    try:
        with connect(address) as client:
            for outcome in map_shards(client, take_a_tenth, range(1000)):
                killed = killed or time.monotonic()
                os.kill(int(process), signal.SIGKILL)
    except RunError as error:
        print(error)
    print(time.monotonic() - killed)
"""


def test_a_scheduler_that_dies_is_one_line(tmp_path: Path) -> None:
    script = tmp_path / "dying.py"
    script.write_text(DYING_SCHEDULER)
    with clusters.scheduler(tmp_path) as scheduler, clusters.worker(scheduler.address, tmp_path):
        clusters.wait_for_workers(scheduler.address, 1)
        done = subprocess.run(
            [sys.executable, script, scheduler.address, str(scheduler.process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    line, seconds = done.stdout.splitlines()
    assert float(seconds) < 15
    assert line.startswith(f"{scheduler.address}: the scheduler ended or cannot be reached any more, with ")
    assert done.stderr == ""
