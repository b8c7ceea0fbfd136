"""Tests of skinml/storage/fetch.py: one object, and what a disk does to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skinml.storage import fetch, patience
from skinml.storage.fetch import Read, read_once, read_patiently
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
    monkeypatch.setattr(patience, "DELAYS", mend())
    assert read_patiently(uri, threading.Event(), failure).data == b"mended"


@needs_proc
def test_a_file_that_can_never_be_read_is_an_answer_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").symlink_to("/proc/self/mem")
    monkeypatch.setattr(patience, "DELAYS", (0.0,) * 5)
    read = read_patiently(file_uri(f"{tmp_path}/a.jpg"), threading.Event())
    assert read == Read(None, None, "OSError: [Errno 5] Input/output error")
