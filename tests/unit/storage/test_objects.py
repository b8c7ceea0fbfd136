"""Tests of skinml/storage/objects.py: the same answers from a folder and from a bucket."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skinml.errors import RequestError, StorageError
from skinml.storage import connection
from skinml.storage.conditional_puts import PROBE
from skinml.storage.objects import (
    check_writable,
    create_bytes,
    exists,
    local_copy,
    names,
    read_bytes,
    upload,
    write_bytes,
)
from skinml.storage.tree import walk
from skinml.storage.urls import is_remote, normalise
from tests.services.seaweedfs import ObjectStore


def everything(place: str) -> list[str]:
    """What lies in a folder, hidden names too; of a bucket what its listing shows."""
    return names(place) if is_remote(place) else sorted(path.name for path in Path(place).iterdir())


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


def test_an_object_may_be_as_large_as_is_said_and_no_larger(place: str) -> None:
    url = f"{place}/object"
    write_bytes(url, b"12345")
    assert read_bytes(url, 5) == b"12345"
    with pytest.raises(RequestError, match=r"/object: has 5 bytes, the limit is 4; restore"):
        read_bytes(url, 4)
    with pytest.raises(StorageError, match="not found"):
        read_bytes(f"{place}/missing", 5)


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
    assert list(walk(place)) == []


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    for url, named in ((f"{tmp_path}/file", "is a file"), (f"{tmp_path}/file/x", f"{tmp_path}/file is a file")):
        with pytest.raises(
            RequestError, match=f"workspace {url}: .*give a folder or s3://bucket/prefix"
        ) as refusal:
            check_writable(url)
        assert named in str(refusal.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_no_workspace(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RequestError, match=f"you may not write to {tmp_path}; change its permissions"):
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


def deny(store: ObjectStore, bucket: str, action: str) -> None:
    """Take a right away from everybody, as an owner does with a bucket's policy."""
    name = bucket[5:]
    statement = {"Effect": "Deny", "Principal": "*", "Action": [action], "Resource": [f"arn:aws:s3:::{name}/*"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    store.files().call_s3("put_bucket_policy", Bucket=name, Policy=policy)


def test_a_bucket_that_may_be_listed_but_not_written_to_is_no_workspace(
    bucket: str, opened: ObjectStore
) -> None:
    write_bytes(f"{bucket}/w/old", b"1")
    deny(opened, bucket, "s3:PutObject")
    assert names(bucket) == ["w"]
    for url in (bucket, f"{bucket}/w", f"{bucket}/new/deeper"):
        with pytest.raises(RequestError, match=f"workspace {url}: this key may list it but not write to it"):
            check_writable(url)
    with pytest.raises(RequestError):
        write_bytes(f"{bucket}/w/new", b"1")


def test_a_workspace_needs_no_right_to_delete(bucket: str, opened: ObjectStore) -> None:
    deny(opened, bucket, "s3:DeleteObject")
    for _ in range(3):
        check_writable(f"{bucket}/w")
    # SeaweedFS lets obstore delete all the same: it deletes in bulk, which this policy does not reach.
    assert set(walk(bucket)) <= {f"w/{PROBE}"}, "and nothing more with each run"


@pytest.mark.parametrize("versions", [False, True])
def test_looking_whether_a_bucket_is_writable_leaves_nothing_behind(
    versions: bool, bucket: str, opened: ObjectStore
) -> None:
    if versions:
        kept = {"Status": "Enabled"}
        opened.files().call_s3("put_bucket_versioning", Bucket=bucket[5:], VersioningConfiguration=kept)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(check_writable, [f"{bucket}/w"] * 4)) == [None] * 4
    files, name = opened.files(), bucket[5:]
    left = files.call_s3("list_object_versions", Bucket=name)
    assert (left.get("Versions", []), left.get("DeleteMarkers", [])) == ([], [])
