"""Tests of skinml/storage/spelling.py: an older spelling of a path is recognised, and all else left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.storage.spelling import resolve_rows, resolve_uris
from skinml.storage.urls import file_uri
from tests.effort import examples


def column(*uris: str | None, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(uris, kind or pa.string())])


def resolved(*uris: str) -> list[str]:
    found: list[str] = resolve_uris(column(*uris), {}).to_pylist()
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """archive/a, archive/b with a link `old` to b, and `moved`, a link to the archive."""
    for name in ("a", "b"):
        (tmp_path / "archive" / name).mkdir(parents=True)
    (tmp_path / "archive" / "old").symlink_to("b")
    (tmp_path / "moved").symlink_to("archive")
    return tmp_path


def test_older_spellings_become_todays(tree: Path) -> None:
    base = f"file://{tree}"
    assert resolved(
        f"{base}/archive/a/1.jpg",
        f"{base}/archive/b/../a/2.jpg",
        f"{base}/moved/a/3.jpg",
        f"{base}/moved/old/4.jpg",
        f"{base}/archive//a/./5.jpg",
        f"{base}/moved/gone/6.jpg",
        f"{base}/moved/7.jpg",
    ) == [
        f"{base}/archive/a/1.jpg",
        f"{base}/archive/a/2.jpg",
        f"{base}/archive/a/3.jpg",
        f"{base}/archive/b/4.jpg",
        f"{base}/archive/a/5.jpg",
        f"{base}/archive/gone/6.jpg",
        f"{base}/archive/7.jpg",
    ]


def test_the_image_itself_keeps_its_name(tree: Path) -> None:
    """It may be a link: then it is an image under the link's name."""
    (tree / "archive" / "a" / "1.jpg").symlink_to("../b/1.jpg")
    uri = f"file://{tree}/archive/a/1.jpg"
    assert resolved(uri) == [uri]


def test_where_nothing_changes_the_same_array_comes_back(tree: Path) -> None:
    rows = pa.table({"uri": column(*(f"file://{tree}/archive/{name}/x.jpg" for name in "abab"))})
    assert resolve_rows(rows) is rows
    objects = column(
        "s3://bucket/a//b.jpg", "s3://bucket/a/../b.jpg", "s3://bucket/./ü.jpg", "no place", "/", ""
    )
    assert resolve_uris(objects, {}) is objects
    assert resolve_uris(column(), {}).to_pylist() == []
    nothing = pa.chunked_array([], pa.string())
    assert resolve_uris(nothing, {}) is nothing


def test_objects_and_nulls_among_files_stay_as_they_are(tree: Path) -> None:
    mixed = (f"file://{tree}/moved/a/1.jpg", "s3://b/x/../y.jpg", None, "odd", f"file://{tree}/moved/2.jpg", "")
    for kind in (pa.string(), pa.large_string()):
        found = resolve_uris(column(*mixed, kind=kind), {})
        assert found.type == kind
        expected = [f"file://{tree}/archive/a/1.jpg", *mixed[1:4], f"file://{tree}/archive/2.jpg", ""]
        assert found.to_pylist() == expected


def test_names_of_any_bytes_and_hostile_rows(tree: Path) -> None:
    folder = tree / "archive" / os.fsdecode(b"\xff %41\n")
    folder.mkdir()
    uri = file_uri(f"{folder}/x.jpg")
    odd = [
        "file:///a%00b/x.jpg",
        "file://relative/x.jpg",
        "file:///" + "d/" * 3_000 + "x.jpg",
        "file://",
        "file:///x",
    ]
    assert resolved(uri, *odd) == [uri, *odd]
    assert resolved(file_uri(f"{tree}/moved/{folder.name}/x.jpg")) == [uri]


NAMES = st.text(st.sampled_from("ab/.%é"), max_size=5)
URIS = st.lists(st.one_of(NAMES.map("file:///t/{}".format), NAMES.map("s3://b/{}".format)), max_size=12)


@settings(max_examples=examples(150), derandomize=True, deadline=None)
@given(URIS, st.integers(0, 3))
def test_it_says_what_one_by_one_would(uris: list[str], start: int) -> None:
    """Pieces, slices, folders of many lengths: the fast ways and the slow one agree."""
    array = pa.array(["file:///cut/off.jpg"] * start + uris, pa.string()).slice(start)
    found = resolve_uris(pa.chunked_array([array]), {}).to_pylist()
    assert found == [one for uri in uris for one in resolve_uris(column(uri), {}).to_pylist()]


def test_a_folder_is_looked_at_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million rows of a thousand folders cost a thousand looks at the disk, not a million."""
    looks: list[str] = []
    ask = os.path.islink

    def counted(path: str) -> bool:
        looks.append(path)
        return ask(path)

    monkeypatch.setattr(os.path, "islink", counted)
    uris = column(*(f"file://{tree}/archive/{number % 50}/{number}.jpg" for number in range(5_000)))
    folders: dict[str, str] = {}
    assert resolve_uris(uris, folders) is uris
    assert resolve_uris(uris, folders) is uris
    assert len([path for path in looks if path.rpartition("/")[2].isdecimal()]) == 50
