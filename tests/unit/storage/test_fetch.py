"""Tests of skinml/storage/fetch.py: one object, and what a disk does to it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skinml.storage import fetch, retry
from skinml.storage.fetch import Read, read_once, read_retrying
from skinml.storage.read_ahead import read_many
from skinml.storage.urls import file_uri, is_remote

Put = Callable[[str, bytes], None]

needs_proc = pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs files that are none")


def test_bytes_and_etag(tmp_path: Path) -> None:
    for data in (b"", b"1", bytes(range(256)) * 10_000):
        (tmp_path / "a.jpg").write_bytes(data)
        read = read_once(file_uri(f"{tmp_path}/a.jpg"))
        assert isinstance(read, Read)
        assert (read.data, read.error) == (data, None)
        assert read.etag == f"{(tmp_path / 'a.jpg').stat().st_mtime_ns:x}-{len(data):x}"


@needs_proc
def test_a_file_whose_size_is_not_known_is_read_whole() -> None:
    read = read_once("file:///proc/self/status")
    assert isinstance(read, Read)
    assert read.data is not None
    assert read.data.startswith(b"Name:")
    assert read.data.endswith(b"\n")
    assert Path("/proc/self/status").stat().st_size == 0


def test_no_more_is_read_than_an_image_may_have(place: str, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_OBJECT_BYTES", 1000)
    for size, expected in ((999, 999), (1000, 1000), (1001, 1001), (5000, 1001)):
        put(f"{place}/{size}.jpg", bytes(size))
        read = read_once(f"{place}/{size}.jpg" if is_remote(place) else file_uri(f"{place}/{size}.jpg"))
        assert isinstance(read, Read)
        assert read.data == bytes(expected)  # one more, so that decoding sees that it is too large


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nothing.jpg", "FileNotFoundError"),
        ("folder.jpg", "IsADirectoryError"),
        ("file/a.jpg", "NotADirectoryError"),
        ("round.jpg", "OSError"),
        ("n" * 300, "OSError"),
    ],
)
def test_what_is_wrong_for_good_is_an_answer_at_once(name: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "round.jpg").symlink_to("round.jpg")
    read = read_once(file_uri(f"{tmp_path}/{name}"))
    assert isinstance(read, Read)
    assert read.data is None
    assert str(read.error).startswith(f"{error}: ")


def test_what_has_come_in_a_listed_files_place_is_not_read(tmp_path: Path) -> None:
    """A file, or a folder above it, becomes a link out of the archive once it is listed; or a pipe."""
    archive, outside = tmp_path / "archive", tmp_path / "outside"
    for name in ("a.jpg", "b/b.jpg", "c.jpg", "d.jpg", "e.jpg"):
        (archive / name).parent.mkdir(parents=True, exist_ok=True)
        (archive / name).write_bytes(b"secret")
    outside.mkdir()
    (archive / "a.jpg").rename(outside / "a.jpg")  # bytes, size and times are those that were listed
    (archive / "a.jpg").symlink_to(outside / "a.jpg")
    (archive / "b").rename(outside / "b")
    (archive / "b").symlink_to(outside / "b")
    (archive / "c.jpg").unlink()
    os.mkfifo(archive / "c.jpg")
    (archive / "d.jpg").unlink()
    (archive / "d.jpg").symlink_to("e.jpg")

    def read(name: str, *roots: Path) -> Read:
        answer = read_once(file_uri(f"{archive}/{name}"), list(map(str, roots)))
        assert isinstance(answer, Read)
        return answer

    for name in ("a.jpg", "b/b.jpg"):
        assert read(name, archive).error == (
            "PermissionError: was replaced by a link out of the archive since it was listed; not followed"
        )
        assert read(name, archive, outside).data == b"secret", "it is of another archive that was listed"
    assert (
        read("c.jpg", archive).error
        == "PermissionError: was replaced by a pipe or device since it was listed; these are not read"
    )
    assert [read(name, archive).data for name in ("d.jpg", "e.jpg")] == [b"secret"] * 2
    assert read("e.jpg", Path("/")).data == b"secret"
    assert read("e.jpg", tmp_path / "arch").data is None


def test_an_archive_that_is_a_link_on_this_machine_is_read(tmp_path: Path) -> None:
    """A worker may mount through a link what is a folder to the driver."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.jpg").write_bytes(b"a")
    (tmp_path / "archive").symlink_to("disk")
    archive = f"{tmp_path}/archive"
    assert [read.data for read in read_many([file_uri(f"{archive}/a.jpg")], roots=[archive])] == [b"a"]


def test_a_folder_that_could_not_be_listed_says_why(tmp_path: Path) -> None:
    read = read_once(file_uri(str(tmp_path)), [str(tmp_path.parent)])
    assert isinstance(read, Read)
    assert read.error == (
        "IsADirectoryError: the folder could not be listed earlier; it can be now, and the next run reads its "
        "images"
    )


@needs_proc
def test_a_file_that_cannot_be_read_now_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.symlink_to("/proc/self/mem")
    uri = file_uri(str(path))

    def mend() -> Iterator[float]:
        path.unlink()
        path.write_bytes(b"mended")
        yield 0.0

    failure = read_once(uri)
    assert isinstance(failure, OSError)
    monkeypatch.setattr(retry, "DELAYS", mend())
    assert read_retrying(uri, threading.Event(), failure).data == b"mended"


@needs_proc
def test_a_file_that_can_never_be_read_is_an_answer_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").symlink_to("/proc/self/mem")
    monkeypatch.setattr(retry, "DELAYS", (0.0,) * 5)
    read = read_retrying(file_uri(f"{tmp_path}/a.jpg"), threading.Event())
    assert read == Read(None, None, "OSError: [Errno 5] Input/output error")
