"""Tests of skinml/storage/listing.py: the same archive lists the same in a folder and in a bucket."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from skinml.errors import RequestError
from skinml.schemas import LISTING
from skinml.storage import connection, listing
from skinml.storage.listing import list_images
from skinml.storage.objects import read_many
from skinml.storage.urls import file_uri, is_remote, normalise
from tests.services.seaweedfs import ObjectStore

Put = Callable[[str, bytes], None]
PutAll = Callable[[str, dict[str, bytes]], None]


@pytest.fixture
def put_all(request: pytest.FixtureRequest, put: Put) -> PutAll:
    """Put many objects below a place at once: name to bytes."""

    def put_objects(place: str, objects: dict[str, bytes]) -> None:
        if is_remote(place):
            store: ObjectStore = request.getfixturevalue("object_store")
            store.files().pipe({f"{place[5:]}/{name}": data for name, data in objects.items()})
        else:
            for name, data in objects.items():
                put(f"{place}/{name}", data)

    return put_objects


def table(url: str) -> pa.Table:
    pieces = list(list_images(url))
    assert all(piece.images.schema == LISTING for piece in pieces)
    return pa.Table.from_batches([piece.images for piece in pieces], LISTING)


def uris(url: str) -> list[str]:
    return sorted(table(url)["uri"].to_pylist())


def etag(url: str) -> str:
    return str(table(url)["etag"][0])


def uri_of(place: str, name: str) -> str:
    return f"{place}/{name}" if is_remote(place) else file_uri(f"{place}/{name}")


def ignored(url: str) -> int:
    return sum(piece.ignored for piece in list_images(url))


IMAGES = {
    name: name.encode()
    for name in (
        "top.jpg",
        "UPPER.JPG",
        "mixed.JpEg",
        "a.png",
        "a.webp",
        "a.tif",
        "a.tiff",
        "a.bmp",
        "two.dots.jpg",
        "deep/er/and/deeper/still.jpg",
        "folder.jpg/inside.jpg",
        "folder.with.dots/x.jpg",
        "with space.jpg",
        " spaces around .jpg",
        "läsion €.jpg",
        "日本.png",
        "per%20cent.jpg",
        "plus+and&hash#question?.jpg",
        "star*[brackets]{braces}.jpg",
        "quote'\"`.jpg",
        "colon:pipe|caret^.jpg",
    )
}
OTHERS = dict.fromkeys(
    (
        ".hidden.jpg",
        ".folder/x.jpg",
        "deep/.folder/x.jpg",
        "deep/.hidden.jpg",
        "metadata.csv",
        "jpg",
        "x.jpg.txt",
        "x.jpgx",
        "deep/Thumbs.db",
        "x.gif",
    ),
    b"not listed",
)


def test_images_are_listed_at_any_depth_and_all_else_is_counted(place: str, put_all: PutAll) -> None:
    put_all(place, IMAGES | OTHERS)
    listed = table(place)
    assert sorted(listed["uri"].to_pylist()) == sorted(uri_of(place, name) for name in IMAGES)
    assert ignored(place) == len(OTHERS)
    sizes = dict(zip(listed["uri"].to_pylist(), listed["size_bytes"].to_pylist(), strict=True))
    assert sizes == {uri_of(place, name): len(data) for name, data in IMAGES.items()}

    reads = list(read_many(listed["uri"].to_pylist()))
    assert [read.error for read in reads] == [None] * len(IMAGES)
    expected = {uri_of(place, name): data for name, data in IMAGES.items()}
    assert [read.data for read in reads] == [expected[uri] for uri in listed["uri"].to_pylist()]
    assert [read.etag for read in reads] == listed["etag"].to_pylist()


def test_only_what_lies_below_is_listed(place: str, put_all: PutAll) -> None:
    put_all(place, {"archive/a.jpg": b"1", "archive2/b.jpg": b"2", "archive.jpg": b"3"})
    assert uris(f"{place}/archive") == [uri_of(place, "archive/a.jpg")]


def test_a_whole_bucket_can_be_the_archive(bucket: str, put_all: PutAll) -> None:
    put_all(bucket, {"a.jpg": b"1", "deep/b.jpg": b"2", ".hidden.jpg": b"3", ".folder/c.jpg": b"4"})
    assert uris(bucket) == [f"{bucket}/a.jpg", f"{bucket}/deep/b.jpg"]
    assert ignored(bucket) == 2


def test_a_prefix_with_a_dot_folder_above_it_is_listed(place: str, put_all: PutAll) -> None:
    put_all(place, {".cache/archive/a.jpg": b"1"})
    assert uris(f"{place}/.cache/archive") == [uri_of(place, ".cache/archive/a.jpg")]


def test_the_etag_changes_with_the_bytes(place: str, put: Put) -> None:
    put(f"{place}/a.jpg", b"one")
    first = etag(place)
    assert etag(place) == first, "the etag of bytes that stay must stay"
    put(f"{place}/a.jpg", b"two")
    assert etag(place) != first


def test_a_file_of_another_age_or_size_has_another_etag(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1_700_000_000_000_000_001))
    first = etag(str(tmp_path))
    os.utime(path, ns=(1, 1_700_000_000_000_000_002))
    second = etag(str(tmp_path))
    path.write_bytes(b"four")
    os.utime(path, ns=(1, 1_700_000_000_000_000_002))
    third = etag(str(tmp_path))
    assert len({first, second, third}) == 3


def test_a_restored_backup_is_the_same_archive(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.jpg", tmp_path / "copy"
    path.write_bytes(b"one")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    first = etag(str(tmp_path))
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=times)
    copy.replace(path)
    assert etag(str(tmp_path)) == first


def test_the_time_of_the_last_change_is_utc(place: str, put: Put) -> None:
    put(f"{place}/a.jpg", b"one")
    modified = table(place)["last_modified"][0].as_py()
    assert modified.utcoffset().total_seconds() == 0
    assert abs((datetime.now(UTC) - modified).total_seconds()) < 60
    if not is_remote(place):
        os.utime(f"{place}/a.jpg", ns=(0, 1_700_000_000_123_456_789))
        assert table(place)["last_modified"][0].as_py() == datetime.fromtimestamp(1_700_000_000, UTC).replace(
            microsecond=123_456
        )


def test_new_objects_are_seen_at_once(place: str, put: Put) -> None:
    put(f"{place}/a.jpg", b"1")
    assert len(uris(place)) == 1
    put(f"{place}/b.jpg", b"1")
    assert len(uris(place)) == 2


def test_an_empty_place_gives_nothing(place: str) -> None:
    assert table(place).num_rows == 0
    assert ignored(place) == 0


def test_a_long_listing_comes_in_pieces_and_loses_nothing(
    place: str, put_all: PutAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one page of S3 (1,000 keys), and pieces that are full to the last row."""
    monkeypatch.setattr(listing, "PIECE", 300)
    put_all(place, {f"{number % 7}/{number}.jpg": b"" for number in range(1_100)} | {"other.txt": b""})
    pieces = list(list_images(place))
    assert len(pieces) >= 4
    assert max(piece.images.num_rows for piece in pieces) == 300
    assert uris(place) == sorted(uri_of(place, f"{number % 7}/{number}.jpg") for number in range(1_100))
    assert sum(piece.ignored for piece in pieces) == 1


# What only a folder can hold


def test_names_that_are_no_text_are_listed_and_read(tmp_path: Path) -> None:
    names = [b"\xff\xfe.jpg", b"new\nline.jpg", b"tab\t.jpg", b"latin-\xe4.JPG", b"back\\slash.jpg"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    found = uris(str(tmp_path))
    assert len(found) == len(names)
    assert {read.data for read in read_many(found)} == set(names)


def test_a_folder_with_a_name_that_is_no_text_can_be_the_archive(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"arch\xff ive")
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"bytes")
    for url in (str(folder), file_uri(str(folder))):
        assert [read.data for read in read_many(uris(normalise(url)))] == [b"bytes"]


@pytest.mark.parametrize("target", ["nothing", "link.jpg"], ids=["to nothing", "to itself"])
def test_a_broken_link_is_listed_and_then_cannot_be_read(target: str, tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(target)
    (tmp_path / "sound.jpg").write_bytes(b"sound")
    found = uris(str(tmp_path))
    assert [uri.rsplit("/", 1)[-1] for uri in found] == ["link.jpg", "sound.jpg"]
    broken, sound = read_many(found)
    assert broken.data is None
    assert broken.error
    assert sound.data == b"sound"


def test_a_link_to_a_file_is_an_image_and_one_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    archive = tmp_path / "archive"
    outside.mkdir()
    archive.mkdir()
    (outside / "x.jpg").write_bytes(b"x")
    (archive / "link.jpg").symlink_to(outside / "x.jpg")
    (archive / "folder").symlink_to(outside)
    (archive / "folder.jpg").symlink_to(outside)
    (archive / "round").symlink_to(archive)
    assert uris(str(archive)) == [file_uri(f"{archive}/link.jpg")]
    assert ignored(str(archive)) == 3
    [read] = read_many(uris(str(archive)))
    assert (read.data, read.etag) == (b"x", etag(str(archive)))


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    """Reading one would wait for ever."""
    os.mkfifo(tmp_path / "pipe.jpg")
    assert uris(str(tmp_path)) == []
    assert ignored(str(tmp_path)) == 1


# Refusals


def refusal_of(url: str) -> str:
    with pytest.raises(RequestError) as refusal:
        list(list_images(url))
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(f"{url}: ")
    return str(refusal.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert refusal_of(f"{tmp_path}/nowhere").endswith("no such folder")


def test_a_file_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    assert "is a file, name the folder" in refusal_of(f"{tmp_path}/a.jpg")


@pytest.mark.usefixtures("bucket")
def test_a_missing_bucket_is_refused() -> None:
    assert refusal_of("s3://bucket-that-is-not-there/x").endswith("no such bucket")


def test_a_wrong_key_is_refused(bucket: str, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put(f"{bucket}/a.jpg", b"1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    connection.bucket.cache_clear()
    started = time.monotonic()
    assert "access refused; check AWS_ACCESS_KEY_ID" in refusal_of(bucket)
    assert time.monotonic() - started < 5, "a refusal was tried again"
