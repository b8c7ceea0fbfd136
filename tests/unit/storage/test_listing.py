"""Tests of skinml/storage/listing.py: the same archive lists the same in a folder and in a bucket."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from skinml.errors import RequestError
from skinml.schemas import LISTING
from skinml.storage import connection, folder_listing
from skinml.storage.folder_listing import list_folder
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


def ignored(url: str, *left_out: str) -> int:
    return sum(piece.ignored for piece in list_images(url, left_out))


def passed_over(url: str, *left_out: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for piece in list_images(url, left_out):
        assert piece.ignored == piece.passed_over.total()
        found += piece.passed_over
    return dict(found)


IMAGES = {
    name: name.encode()
    for name in (
        "top.jpg",
        "UPPER.JPG",
        "mixed.JpEg",
        "a.jfif",
        "A.JPE",
        "a.PJpeg",
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
    # `jpg` has no suffix: a folder's is looked at, and is none
    kinds = {"no suffix": 1, "other": 4} if is_remote(place) else {"other": 5}
    assert passed_over(place) == {"hidden": 4, ".gif": 1, **kinds}
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


def test_a_long_listing_comes_in_pieces_and_loses_nothing(place: str, put_all: PutAll) -> None:
    """More than one page of S3 (1,000 keys), and pieces that are full to the last row."""
    put_all(place, {f"{number % 7}/{number}.jpg": b"" for number in range(1_100)} | {"other.txt": b""})
    pieces = list(list_images(place, at_once=300))
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


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """An archive with an image, one in a hidden folder, and a folder outside with one more."""
    archive = tmp_path / "archive"
    for name in ("archive/a/real.jpg", "archive/.annex/key", "archive/.annex/x.jpg", "outside/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return archive


LISTED_LINKS = {"annexed.jpg": ".annex/key", "of hidden.jpg": ".annex/x.jpg", "chain.jpg": "annexed.jpg"}
"""A link inside whose target would not be listed itself is an image under the link's name."""

OTHER_LINKS = {
    "again.jpg": ("a/real.jpg", "link to a listed image"),
    "chain to it.png": ("again.jpg", "link to a listed image"),
    "out.jpg": ("../outside/x.jpg", "link out of the archive"),
    "out through a link.jpg": ("folder out/x.jpg", "link out of the archive"),
    "shadow.jpg": ("/etc/shadow", "link out of the archive"),
    "zeros.jpg": ("/dev/zero", "link out of the archive"),
    "folder out": ("../outside", "link out of the archive"),
    "folder out.jpg": ("../outside", "link out of the archive"),
    "round": (".", "link to a folder of the archive"),
    "up.jpg": ("a", "link to a folder of the archive"),
    "store": (".annex", "link to a hidden folder"),
    "photo.HEIC": (".annex/key", ".heic"),
    "notes.txt": ("a/real.jpg", "other"),
    "nameless": ("a/real.jpg", "other"),
    "nothing.txt": ("nowhere", "other"),
}


def test_links_are_listed_once_and_never_lead_out(linked: Path) -> None:
    for name, target in LISTED_LINKS.items():
        (linked / name).symlink_to(target)
    for name, (target, _) in OTHER_LINKS.items():
        (linked / name).symlink_to(target)
    expected = sorted(file_uri(f"{linked}/{name}") for name in (*LISTED_LINKS, "a/real.jpg"))
    assert uris(str(linked)) == expected
    kinds = Counter(kind for _, kind in OTHER_LINKS.values())
    assert passed_over(str(linked)) == kinds + Counter({"hidden": 1})
    reads = dict(zip(expected, read_many(expected, roots=[str(linked)]), strict=True))
    assert reads[file_uri(f"{linked}/annexed.jpg")].data == b"archive/.annex/key"
    etags = dict(
        zip(table(str(linked))["uri"].to_pylist(), table(str(linked))["etag"].to_pylist(), strict=True)
    )
    assert {uri: read.etag for uri, read in reads.items()} == etags


def test_an_archive_that_is_a_link_is_its_target(linked: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("archive")
    (linked / "again.jpg").symlink_to(tmp_path / "link" / "a" / "real.jpg")
    assert uris(normalise(str(tmp_path / "link"))) == [file_uri(f"{linked}/a/real.jpg")]
    assert passed_over(str(linked))["link to a listed image"] == 1


# What is no part of the archive


def test_what_is_left_out_is_counted_and_nothing_else_is_lost(place: str, put_all: PutAll) -> None:
    put_all(
        place,
        {
            "a.jpg": b"1",
            "ws/reports/r.png": b"2",
            "ws/x.jpg": b"3",
            "ws2/b.jpg": b"4",
            "deep/ws/c.jpg": b"5",
            "ws.jpg": b"6",
        },
    )
    left_out = f"{place}/ws"
    listed = [uri for piece in list_images(place, [left_out]) for uri in piece.images["uri"].to_pylist()]
    assert sorted(listed) == sorted(
        uri_of(place, name) for name in ("a.jpg", "ws2/b.jpg", "deep/ws/c.jpg", "ws.jpg")
    )
    # A folder's tree is not walked, a bucket names all there is.
    assert passed_over(place, left_out) == {"in the workspace": 2 if is_remote(place) else 1}


def test_figures_of_another_workspace_are_no_images(place: str, put_all: PutAll) -> None:
    put_all(
        place,
        {
            "a.jpg": b"1",
            "old/models/thesis-cnn/20261127T083519Z-89cdd7/figures/confusion_matrix.png": b"2",
            "old/reports/score-20261127T083519Z-89cdd7/page.png": b"3",
            "models/20261127T083519Z-89cdd7.jpg": b"4",
            "reports/2026/b.jpg": b"5",
        },
    )
    listed = [uri for piece in list_images(place) for uri in piece.images["uri"].to_pylist()]
    assert sorted(listed) == sorted(
        uri_of(place, name) for name in ("a.jpg", "models/20261127T083519Z-89cdd7.jpg", "reports/2026/b.jpg")
    )
    assert passed_over(place) == {"in another workspace": 2}


def test_a_link_into_what_is_left_out_is_no_image(linked: Path) -> None:
    (linked / "ws" / "reports").mkdir(parents=True)
    (linked / "ws" / "reports" / "r.png").write_bytes(b"figure")
    (linked / "figure.png").symlink_to("ws/reports/r.png")
    (linked / "reports").symlink_to("ws/reports")
    assert passed_over(str(linked), f"{linked}/ws") == {"in the workspace": 3, "hidden": 1}


# What looks like an image and is none of ours


@pytest.mark.usefixtures("without_dicom")
def test_images_of_other_formats_are_counted_by_suffix(place: str, put_all: PutAll) -> None:
    names = ("IMG_1.HEIC", "b.heic", "c.avif", "d.dcm", "e.gif", "f.jxl", "g.jp2", "h.CR2", "i.txt", "1.2.840")
    put_all(place, dict.fromkeys(names, b"no image"))
    found = passed_over(place)
    assert {kind: count for kind, count in found.items() if kind.startswith(".")} == {
        ".heic": 2,
        **dict.fromkeys((".avif", ".dcm", ".gif", ".jxl", ".jp2", ".cr2"), 1),
    }
    assert found["other"] == (1 if is_remote(place) else 2)
    assert found.get("no suffix", 0) == (
        1 if is_remote(place) else 0
    )  # the bytes of the last say that it is none


def test_dicom_is_listed_where_it_can_be_read(place: str, put_all: PutAll) -> None:
    put_all(place, dict.fromkeys(("d.dcm", "e.DCM", "f.dicom"), b"no image"))
    found = list(list_images(place))
    assert sum(piece.images.num_rows for piece in found) == 2
    assert passed_over(place) == {".dicom": 1}


def test_a_file_without_a_suffix_is_judged_by_its_first_bytes(
    tmp_path: Path, jpeg: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IM000001", "1.2.840.113619.2", "deep/again"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(jpeg())
    (tmp_path / "README").write_bytes(b"words")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    assert passed_over(str(tmp_path)) == {"no suffix": 3, "other": 3}
    monkeypatch.setattr(folder_listing, "LOOKS", 2)
    found = passed_over(str(tmp_path))
    assert found["no suffix, not looked at"] == 2
    assert sum(found.values()) == 6


# What cannot be listed


# All imports come first: this Python may lie where another user cannot read it.
AS_NOBODY = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from skinml.storage.listing import list_images
from skinml.storage.objects import read_many
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for piece in list_images(sys.argv[1]):
    for row in piece.images.select(["uri", "etag", "size_bytes"]).to_pylist():
        print(*row.values(), sep="\t")
print(*[read.error for read in read_many([sys.argv[2]], roots=[sys.argv[1]])])
"""


def as_another_user(archive: Path, uri: str) -> list[str]:
    """What a user sees who is not root: rows of the listing, and then the error of reading one uri."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, archive, uri], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, as root can")
def test_a_folder_without_permission_is_one_row_and_all_else_is_listed() -> None:
    base = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    try:
        base.chmod(0o755)
        for name in ("a/1.jpg", "closed/2.jpg", "no entry/3.jpg", "z/4.jpg"):
            (base / name).parent.mkdir()
            (base / name).write_bytes(b"bytes")
        (base / "closed").chmod(0)
        (base / "no entry").chmod(0o444)  # its names can be read, and nothing about them
        *rows, error = as_another_user(base, file_uri(f"{base}/closed"))
        found = {row.split("\t")[0]: row.split("\t")[1:] for row in rows}
        assert found.keys() == {
            file_uri(f"{base}/{name}") for name in ("a/1.jpg", "closed", "no entry/3.jpg", "z/4.jpg")
        }
        assert found[file_uri(f"{base}/closed")] == ["unreadable", "0"]
        assert found[file_uri(f"{base}/no entry/3.jpg")] == ["missing", "0"]
        assert "Permission denied" in error
        (base / "closed").chmod(0o755)
        assert sum("closed" in row for row in as_another_user(base, file_uri(f"{base}/a/1.jpg"))[:-1]) == 1
    finally:
        shutil.rmtree(base)


def test_a_path_longer_than_the_system_allows_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(21):
        os.mkdir("d" * 200, dir_fd=deep)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = deeper
    os.close(os.open("x.jpg", os.O_CREAT, dir_fd=deep))
    os.close(deep)
    rows = table(str(tmp_path)).to_pylist()
    assert sorted(row["etag"] for row in rows)[-1] == "unreadable"
    assert len(rows) == 2
    [folder] = [row for row in rows if row["etag"] == "unreadable"]
    assert (folder["size_bytes"], len(folder["uri"]) > 4_096) == (0, True)
    [read] = read_many([folder["uri"]])
    assert "File name too long" in str(read.error)


def test_a_folder_that_vanishes_while_it_is_listed_is_one_row(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/2.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"bytes")
    rows = []
    for piece in list_folder(str(tmp_path), (), 1):
        rows += piece.images.to_pylist()
        if len(rows) == 1:
            gone = "b" if "/a/" in rows[0]["uri"] else "a"
            shutil.rmtree(tmp_path / gone)
    assert [row["etag"] for row in rows][1:] == ["unreadable"]
    [read] = read_many([rows[1]["uri"]])
    assert "FileNotFoundError" in str(read.error)


def test_a_disk_that_fails_on_the_way_keeps_what_it_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file system here gives half a folder and then an error: the call to the system stands in for one."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.jpg").write_bytes(b"bytes")

    class Failing:
        def __init__(self, folder: str) -> None:
            self.entries = scan(folder)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            yield from self.entries
            raise OSError(errno.EIO, "Input/output error")

        def __exit__(self, *_: object) -> None:
            self.entries.close()

    scan = os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda folder: Failing(folder) if folder.endswith("bad") else scan(folder)
    )
    rows = table(str(tmp_path)).to_pylist()
    assert [(row["uri"].rpartition("/")[2], row["etag"] == "unreadable") for row in rows] == [
        ("1.jpg", False),
        ("bad", True),
    ]


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
    assert refusal_of(f"{tmp_path}/nowhere").endswith("no such folder; check the name")


def test_a_file_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    assert "is a file; give the folder" in refusal_of(f"{tmp_path}/a.jpg")


@pytest.mark.usefixtures("bucket")
def test_a_missing_bucket_is_refused() -> None:
    assert refusal_of("s3://bucket-that-is-not-there/x").endswith("no such bucket; check its name and region")


def test_a_wrong_key_is_refused(bucket: str, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put(f"{bucket}/a.jpg", b"1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    connection.bucket.cache_clear()
    started = time.monotonic()
    assert "access refused; check AWS_ACCESS_KEY_ID" in refusal_of(bucket)
    assert time.monotonic() - started < 5, "a refusal was tried again"
