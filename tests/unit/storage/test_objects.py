"""Tests of skinml/storage/objects.py: the same answers from a folder and from a bucket."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skinml.errors import RequestError, StorageError
from skinml.storage import connection, objects
from skinml.storage.listing import list_images
from skinml.storage.objects import (
    check_writable,
    create_bytes,
    exists,
    local_copy,
    names,
    read_bytes,
    read_many,
    upload,
    write_bytes,
)
from skinml.storage.urls import file_uri, is_remote, normalise

Put = Callable[[str, bytes], None]


def uri_of(place: str, name: str) -> str:
    return f"{place}/{name}" if is_remote(place) else file_uri(f"{place}/{name}")


def everything(place: str) -> list[str]:
    """What lies in a folder, hidden names too; of a bucket what its listing shows."""
    return names(place) if is_remote(place) else sorted(path.name for path in Path(place).iterdir())


# Many reads


def test_reads_come_in_order_and_a_failed_one_is_an_answer(place: str) -> None:
    """More reads than are in flight at once, of sizes that finish in another order."""
    sizes = [(number * 7919) % 50_000 for number in range(80)]
    for number, size in enumerate(sizes):
        if number % 10 != 3:
            write_bytes(f"{place}/{number}.jpg", number.to_bytes(2) + bytes(size))
    reads = list(read_many(uri_of(place, f"{number}.jpg") for number in range(80)))
    assert len(reads) == 80
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


def test_reads_are_only_so_far_ahead_of_what_is_taken(tmp_path: Path) -> None:
    asked: list[int] = []

    def uris() -> Iterator[str]:
        for number in range(100):
            asked.append(number)
            yield file_uri(f"{tmp_path}/{number}.jpg")

    reads = read_many(uris(), in_flight=8)
    next(reads)
    assert len(asked) == 8
    next(reads)
    assert len(asked) == 9
    assert len(list(reads)) == 98


def test_the_etag_is_that_of_the_bytes_that_were_read(place: str, put: Put) -> None:
    put(f"{place}/a.jpg", b"listed")
    [listed] = next(list_images(place)).images.to_pylist()
    put(f"{place}/a.jpg", b"changed since")
    [read] = read_many([listed["uri"]])
    [now] = next(list_images(place)).images.to_pylist()
    assert read.data == b"changed since"
    assert read.etag == now["etag"]
    assert read.etag != listed["etag"]


def test_a_folder_in_an_images_place_is_a_failed_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    [read] = read_many([file_uri(f"{tmp_path}/a.jpg")])
    assert read.error is not None
    assert read.error.startswith("IsADirectoryError")


def test_no_more_of_a_file_is_read_than_an_image_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MAX_OBJECT_BYTES", 1000)
    (tmp_path / "a.jpg").write_bytes(bytes(5000))
    [read] = read_many([file_uri(f"{tmp_path}/a.jpg")])
    assert read.data == bytes(1001)  # one more, so that decoding sees that it is too large


def test_a_refused_read_is_an_answer(bucket: str, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put(f"{bucket}/a.jpg", b"1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    connection.bucket.cache_clear()
    [read] = read_many([f"{bucket}/a.jpg"])
    assert read.error is not None
    assert read.error.startswith("PermissionDeniedError")


# One object


def test_what_is_written_is_read(place: str) -> None:
    url = f"{place}/deep/er/x.bin"
    for data in (b"one", b"", bytes(range(256)) * 1000):
        write_bytes(url, data)
        assert read_bytes(url) == data
    assert everything(f"{place}/deep/er") == ["x.bin"]


def test_an_object_that_is_not_there_is_a_storage_error(place: str, tmp_path: Path) -> None:
    for failing in (read_bytes, lambda url: local_copy(url, tmp_path).read_bytes()):
        if failing is read_bytes or is_remote(place):
            with pytest.raises(StorageError, match="not found") as error:
                failing(f"{place}/nothing")
            assert str(error.value).startswith(f"{place}/nothing: ")


def test_a_reader_sees_the_old_bytes_or_the_new_ones(place: str) -> None:
    url = f"{place}/x.bin"
    versions = [bytes([number]) * 300_000 for number in range(8)]
    write_bytes(url, versions[0])
    done = threading.Event()

    def write() -> None:
        for data in versions:
            write_bytes(url, data)
        done.set()

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        seen = {read_bytes(url)}
        while not done.is_set() and not writing.done():
            seen.add(read_bytes(url))
        writing.result()
    assert seen <= set(versions)
    assert everything(place) == ["x.bin"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        write_bytes(f"{tmp_path}/folder", b"1")
    assert everything(str(tmp_path)) == ["folder"]


def test_the_first_one_creates(place: str) -> None:
    url = f"{place}/deep/once.json"
    assert create_bytes(url, b"first")
    assert not create_bytes(url, b"second")
    assert read_bytes(url) == b"first"
    assert everything(f"{place}/deep") == ["once.json"]


def test_of_many_at_once_exactly_one_creates(place: str) -> None:
    url, together = f"{place}/once.json", threading.Barrier(8)

    def create(number: int) -> bool:
        together.wait()
        return create_bytes(url, str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert created.count(True) == 1
    assert read_bytes(url) == str(created.index(True)).encode()
    assert everything(place) == ["once.json"]


def test_exists(place: str) -> None:
    write_bytes(f"{place}/x", b"")
    assert exists(f"{place}/x")
    assert not exists(f"{place}/y")
    assert not exists(f"{place}/deep/y")


def test_names_are_those_directly_below(place: str) -> None:
    for name in ("b", "a/x", "a/y/z", "c d/e"):
        write_bytes(f"{place}/{name}", b"1")
    assert names(place) == ["a", "b", "c d"]
    assert names(f"{place}/a") == ["x", "y"]
    assert names(f"{place}/nothing") == []


def test_a_copy_can_be_opened_like_any_file(place: str, tmp_path: Path) -> None:
    for folder, data in (("one", b"1"), ("two", b"2")):
        write_bytes(f"{place}/{folder}/same name.npy", data)
    copies = [local_copy(f"{place}/{folder}/same name.npy", tmp_path / "copies") for folder in ("one", "two")]
    assert [copy.read_bytes() for copy in copies] == [b"1", b"2"]
    assert {copy.name for copy in copies} == {"same name.npy"}
    if not is_remote(place):
        assert copies[0] == Path(f"{place}/one/same name.npy"), "a local file needs no copy"


def test_a_whole_file_is_uploaded(place: str, tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(bytes(range(256)) * 40_000)  # 10 MB
    upload(source, f"{place}/models/x/model.bin")
    assert read_bytes(f"{place}/models/x/model.bin") == source.read_bytes()
    assert everything(f"{place}/models/x") == ["model.bin"]


# A place to write to


def test_an_empty_or_missing_place_is_writable(place: str) -> None:
    check_writable(place)
    check_writable(f"{place}/new/deeper")
    assert everything(place) == []


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    for url, named in ((f"{tmp_path}/file", "is a file"), (f"{tmp_path}/file/x", f"{tmp_path}/file is a file")):
        with pytest.raises(
            RequestError, match=f"workspace {url}: .*name a folder or s3://bucket/prefix"
        ) as refusal:
            check_writable(url)
        assert named in str(refusal.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_no_workspace(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RequestError, match=f"{tmp_path} may not be written to by this user"):
        check_writable(f"{tmp_path}/workspace")


@pytest.mark.usefixtures("bucket")
def test_a_missing_bucket_is_no_workspace() -> None:
    with pytest.raises(RequestError, match="s3://bucket-that-is-not-there/w: no such bucket"):
        check_writable(normalise("s3://bucket-that-is-not-there/w"))


def test_a_bucket_that_refuses_the_key_is_no_workspace(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    connection.bucket.cache_clear()
    with pytest.raises(RequestError, match=f"{bucket}/w: access refused"):
        check_writable(f"{bucket}/w")
