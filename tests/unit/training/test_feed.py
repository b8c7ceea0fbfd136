"""Tests of skinml/training/feed.py, feed_workers.py and ring.py, with real processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from skinml.training import ring
from skinml.training.batch import Batch, Source, make_source
from skinml.training.feed import BatchOrder, Feed, workers_for
from skinml.training.feed_workers import Workers
from skinml.training.pixels import Pages
from skinml.training.ring import Layout, Ring, make_ring_file
from skinml.training.settings import Settings
from tests.unit.training.test_process import _wait_until_dead

LABELS = (np.arange(140) % 7).astype(np.int64)
AUGMENTED = Settings(sampling=0.5, geometry=1, colour=1, mixup=0.2, class_weights=0.5)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[NDArray[np.uint8]]:
    """140 images of 16 px in two files; the second file has more rows than count."""
    folder = tmp_path_factory.mktemp("shards")
    pixels = np.random.default_rng(0).integers(0, 256, (150, 16, 16, 3), dtype=np.uint8)
    parts = []
    for number, part in enumerate(np.split(pixels, [60])):
        np.save(folder / f"{number}.npy", part)
        parts.append(np.load(folder / f"{number}.npy", mmap_mode="r"))
    return [parts[0], parts[1][:80]]


def _source(settings: Settings = AUGMENTED) -> Source:
    return make_source(LABELS, np.arange(140), settings, batch_size=12, seed=3)


def _order(source: Source, first: int = 1, last: int = 3) -> Iterator[list[object]]:
    random.seed(5)
    return BatchOrder(source).epochs(first, last)  # type: ignore[return-value]


def _feed(
    shards: list[NDArray[np.uint8]], workers: int, said: list[str], first: int = 1, last: int = 3
) -> Feed:
    source = _source()
    return Feed(source, shards, _order(source, first, last), workers, said.append)  # type: ignore[arg-type]


def _bytes(batch: Batch) -> bytes:
    assert batch.weights is not None
    return batch.pixels.tobytes() + batch.targets.tobytes() + batch.weights.tobytes()


@pytest.fixture(scope="module")
def expected(shards: list[NDArray[np.uint8]]) -> list[list[bytes]]:
    """The batches of three epochs, made in this process."""
    with closing(_feed(shards, 0, [])) as feed:
        return [[_bytes(batch) for batch in feed.epoch()] for _ in range(3)]


def test_workers_give_the_same_batches_in_the_same_order(
    shards: list[NDArray[np.uint8]], expected: list[list[bytes]]
) -> None:
    said: list[str] = []
    with closing(_feed(shards, 2, said)) as feed:
        found = [[_bytes(batch) for batch in feed.epoch()] for _ in range(3)]
    assert found == expected
    assert said == []
    assert feed.waited > 0


def test_an_interrupted_feed_goes_on_as_it_would_have_gone_on(
    shards: list[NDArray[np.uint8]], expected: list[list[bytes]]
) -> None:
    with closing(_feed(shards, 0, [], first=3)) as feed:
        assert [_bytes(batch) for batch in feed.epoch()] == expected[2]
    assert [*feed.epoch()] == []


def test_workers_that_die_are_done_without(
    shards: list[NDArray[np.uint8]], expected: list[list[bytes]]
) -> None:
    said: list[str] = []
    with closing(_feed(shards, 2, said)) as feed:
        assert feed._workers is not None
        found = []
        for epoch in range(3):
            made = feed.epoch()
            batches = [_bytes(next(made))]
            if epoch < 2:
                os.kill(feed._workers._workers[0].process.pid, signal.SIGKILL)
            found.append(batches + [_bytes(batch) for batch in made])
    assert found == expected
    assert said == [
        "a process that prepared training batches ended (signal 9): 1 others go on",
        "a process that prepared training batches ended (signal 9): the trainer makes them itself, slower",
    ]


def test_workers_that_cannot_start_are_done_without(
    shards: list[NDArray[np.uint8]], expected: list[list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    said: list[str] = []
    with closing(_feed(shards, 1, said, last=1)) as feed:
        assert [_bytes(batch) for batch in feed.epoch()] == expected[0]
    assert said == [
        "a process that prepared training batches ended (exit code 1): the trainer makes them itself, slower"
    ]


def test_workers_end_when_the_trainer_is_killed(shards: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys, time, numpy as np
        from tests.unit.training.test_feed import _feed
        paths = sys.argv[1:]
        parts = [np.load(path, mmap_mode="r") for path in paths]
        feed = _feed([parts[0], parts[1][:80]], 2, [])
        next(feed.epoch())
        print(*(worker.process.pid for worker in feed._workers._workers), flush=True)
        time.sleep(60)
        """
    )
    paths = [str(shard.filename) for shard in shards if isinstance(shard, np.memmap)]
    before = set(ring.MEMORY.glob("skinml-batches-*"))
    with subprocess.Popen([sys.executable, "-c", code, *paths], stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None
        pids = [int(word) for word in trainer.stdout.readline().split()]
        trainer.kill()
    assert len(pids) == 2
    assert all(_wait_until_dead(pid) for pid in pids)
    assert set(ring.MEMORY.glob("skinml-batches-*")) <= before


def test_workers_need_files(shards: list[NDArray[np.uint8]]) -> None:
    with pytest.raises(TypeError, match="give memory maps"):
        Workers(_source(), [np.array(shards[0])], 1, lambda _: None, print)  # type: ignore[arg-type, return-value]


def test_plain_batches_need_no_worker() -> None:
    assert workers_for(_source(Settings())) == 0
    assert workers_for(_source()) >= 1


def test_a_full_memory_file_system_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing there would end the process."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    room = os.statvfs(ring.MEMORY)
    slots = room.f_bavail * room.f_frsize // Layout(1, 1, 128).size_bytes + 1
    calls: list[int] = []

    def fallocate(file: int, start: int, size: int) -> None:
        calls.append(size)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    path = make_ring_file(Layout(slots, 1, 128))
    assert Path(path).parent == tmp_path
    assert len(calls) == 2


def test_a_ring_keeps_batches_apart(tmp_path: Path) -> None:
    layout = Layout(slots=2, batch_size=3, size=4)
    path = make_ring_file(layout)
    writer, reader = Ring(path, layout), Ring(path, layout)
    Path(path).unlink()
    batches = [
        Batch(
            np.full((count, 4, 4, 3), value, np.uint8),
            np.full((count, 7), value, np.float32),
            np.full(count, value, np.float32),
        )
        for count, value in ((3, 1), (2, 2))
    ]
    for slot, batch in enumerate(batches):
        writer.put(slot, batch)
    for slot, batch in enumerate(batches):
        found = reader.take(slot, len(batch.pixels), weighted=True)
        assert _bytes(found) == _bytes(batch)
    assert reader.take(0, 3, weighted=False).weights is None


def _resident() -> int:
    """Bytes of mapped files that this process has in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssFile")).split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_of_maps_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "0.npy", np.ones((500, 64, 64, 3), np.uint8))
    shard = np.load(tmp_path / "0.npy", mmap_mode="r")[:450]
    pages, before = Pages([shard, np.ones((1, 64, 64, 3), np.uint8)]), _resident()
    assert int(shard.sum()) == shard.size
    assert _resident() - before > 5e6
    pages.count(2**30)
    assert _resident() - before < 1e6
    assert int(shard.sum()) == shard.size
