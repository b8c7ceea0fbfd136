"""Tests of skinml/storage/read_ahead.py: every answer in order, not too far ahead, folder or bucket."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from skinml.storage import connection, read_ahead, retry
from skinml.storage.listing import list_images
from skinml.storage.objects import write_bytes
from skinml.storage.read_ahead import OBJECTS_AHEAD, OBJECTS_AT_ONCE, read_many
from skinml.storage.urls import file_uri, is_remote

Put = Callable[[str, bytes], None]


def uri_of(place: str, name: str) -> str:
    return f"{place}/{name}" if is_remote(place) else file_uri(f"{place}/{name}")


def test_reads_come_in_order_and_a_failed_one_is_an_answer(place: str) -> None:
    """More reads than are in flight at once, of sizes that finish in another order."""
    sizes = [(number * 7919) % 50_000 for number in range(160)]
    for number, size in enumerate(sizes):
        if number % 10 != 3:
            write_bytes(f"{place}/{number}.jpg", number.to_bytes(2) + bytes(size))
    reads = list(read_many((uri_of(place, f"{number}.jpg") for number in range(160)), sizes))
    assert len(reads) == 160 > OBJECTS_AHEAD
    for number, (read, size) in enumerate(zip(reads, sizes, strict=True)):
        if number % 10 == 3:
            assert (read.data, read.etag) == (None, None)
            assert read.error is not None
            assert "\n" not in read.error
            assert "NotFound" in read.error
        else:
            assert read.error is None
            assert read.data == number.to_bytes(2) + bytes(size)


def test_reading_nothing_gives_nothing() -> None:
    assert list(read_many([])) == []
    assert list(read_many([], [])) == []


@pytest.mark.parametrize("sizes", [[1], [1, 2, 3]])
def test_every_object_has_one_size(sizes: list[int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        list(read_many([file_uri(f"{tmp_path}/{number}.jpg") for number in range(2)], sizes))


def test_the_etag_is_that_of_the_bytes_that_were_read(place: str, put: Put) -> None:
    put(f"{place}/a.jpg", b"listed")
    [listed] = next(list_images(place)).images.to_pylist()
    put(f"{place}/a.jpg", b"changed since")
    [read] = read_many([listed["uri"]], [listed["size_bytes"]])
    [now] = next(list_images(place)).images.to_pylist()
    assert read.data == b"changed since"
    assert read.etag == now["etag"]
    assert read.etag != listed["etag"]


def test_a_refused_read_is_an_answer(bucket: str, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put(f"{bucket}/a.jpg", b"1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    connection.bucket.cache_clear()
    [read] = read_many([f"{bucket}/a.jpg"])
    assert read.error is not None
    assert read.error.startswith("PermissionDeniedError")


# How far ahead


class Asked:
    """An endless source of names that are not there, which counts how many it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        while True:
            self.count += 1
            yield file_uri(f"{self.folder}/{self.count}.jpg")


def slow_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "SLOW_SECONDS", -1.0)


def test_a_fast_folder_is_read_by_the_handful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "SLOW_SECONDS", math.inf)
    asked = Asked(tmp_path)
    reads = read_many(asked)
    for taken in range(100):
        next(reads)
        assert asked.count - taken <= OBJECTS_AT_ONCE
        assert not any(thread.name.startswith("read") for thread in threading.enumerate())
    reads.close()


@pytest.mark.parametrize("objects_ahead", [1, 2, 8, 40, OBJECTS_AHEAD])
def test_a_slow_folder_is_read_as_far_ahead_as_allowed(
    objects_ahead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_after_the_first(monkeypatch)
    asked = Asked(tmp_path)
    reads = read_many(asked, objects_ahead=objects_ahead)
    furthest = 0
    for taken in range(100):
        next(reads)
        furthest = max(furthest, asked.count - taken)
    assert objects_ahead <= furthest <= objects_ahead + OBJECTS_AT_ONCE  # the next handful is asked for
    reads.close()


@pytest.mark.parametrize(("mebibytes", "furthest"), [(1, OBJECTS_AHEAD), (8, 16), (50, 2), (64, 2), (999, 1)])
def test_large_objects_are_not_piled_up(
    mebibytes: int, furthest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounded by what was listed; one object is read however large it is."""
    slow_after_the_first(monkeypatch)
    asked = Asked(tmp_path)
    reads = read_many(islice(asked, 200), [mebibytes * 2**20] * 200)
    seen = 0
    for taken in range(150):
        next(reads)
        seen = max(seen, asked.count - taken)
    assert furthest <= seen <= furthest + OBJECTS_AT_ONCE
    if mebibytes >= 8:
        assert seen == furthest + 1
    assert len(list(reads)) == 50


def pipes(folder: Path, *numbers: int) -> threading.Thread:
    """Put pipes among 48 files, which can be read only in this order: a read waits for those before it here."""
    for number in range(48):
        if number in numbers:
            os.mkfifo(folder / f"{number:02}.jpg")
        else:
            (folder / f"{number:02}.jpg").write_bytes(str(number).encode())

    def write() -> None:
        for number in numbers:
            (folder / f"{number:02}.jpg").write_bytes(str(number).encode())  # waits for its reader

    return threading.Thread(target=write, daemon=True)


@pytest.mark.timeout(30)
def test_a_slow_folder_is_read_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the last handful can be read before one of the second: nobody waits for the others."""
    slow_after_the_first(monkeypatch)
    writer = pipes(tmp_path, 5 * OBJECTS_AT_ONCE, OBJECTS_AT_ONCE)
    writer.start()
    reads = read_many([file_uri(f"{tmp_path}/{number:02}.jpg") for number in range(48)], [2] * 48)
    assert [read.data for read in reads] == [str(number).encode() for number in range(48)]
    writer.join()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that cannot be read")
def test_who_stops_taking_waits_for_no_further_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "DELAYS", (50.0,))
    for number in range(20):
        if number < 10:
            (tmp_path / f"{number:02}.jpg").write_bytes(b"1")
        else:
            (tmp_path / f"{number:02}.jpg").symlink_to("/proc/self/mem")  # EIO, which may pass
    reads = read_many([file_uri(f"{tmp_path}/{number:02}.jpg") for number in range(20)])
    assert [next(reads).data for _ in range(10)] == [b"1"] * 10
    started = time.monotonic()
    reads.close()
    assert time.monotonic() - started < 5
