"""Tests of skinml/storage/urls.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.errors import RequestError
from skinml.storage.urls import file_path, file_uri, image_id, is_below, is_remote, normalise
from tests.effort import examples


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3://bucket//a///b", "s3://bucket/a/b"),
        ("S3://bucket/a", "s3://bucket/a"),
        ("s3://bucket//a/./", "s3://bucket/a"),
        ("s3://bucket/a/../b/c/..", "s3://bucket/b"),
        ("s3://bucket/a/..", "s3://bucket"),
        ("s3://bucket/..a/b..", "s3://bucket/..a/b.."),
        ("s3://bucket/a prefix/ä%20", "s3://bucket/a prefix/ä%20"),
        ("/data/archive/", "/data/archive"),
        ("/", "/"),
        ("//data//archive/.", "/data/archive"),
        ("/data/nothing/../archive", "/data/archive"),
        ("/..", "/"),
        ("FILE:///data/archive", "/data/archive"),
        ("file://localhost/data/archive", "/data/archive"),
        ("file:////data/%2E%2E/data/archive", "/data/archive"),
        ("file:///data/archive/", "/data/archive"),
        ("file:///with%20space/%C3%A4", "/with space/ä"),
        ("file:///", "/"),
    ],
)
def test_one_place_has_one_name(url: str, expected: str) -> None:
    assert normalise(url) == expected
    assert normalise(normalise(url)) == expected


def test_a_relative_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert normalise("archive/") == str(tmp_path / "archive")
    assert normalise("~/archive") == str(tmp_path / "home" / "archive")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", "'s3://' has no bucket: write s3://bucket/prefix"),
        ("s3:///prefix", "'s3:///prefix' has no bucket"),
        (
            "gs://bucket/x",
            "'gs://bucket/x': not supported; give a folder, file:///folder or s3://bucket/prefix",
        ),
        ("s3:/bucket/x", "'s3:/bucket/x': not supported"),  # never a folder called s3:
        ("file://relative", "'file://relative': not supported"),
        ("https://host/x", "'https://host/x': not supported"),
        ("", "'' is not a folder: give a folder"),
        ("file://elsewhere/data", "'file://elsewhere/data': not supported"),
        ("s3://bucket/a/../..", "'s3://bucket/a/../..' leads above its bucket"),
        ("/data/a\0b", "'/data/a\\x00b': contains a zero byte"),
        ("file:///data/%00", "'file:///data/%00': contains a zero byte"),
        ("~nobody-of-this-name/x", "'~nobody-of-this-name/x': there is no such home folder"),
    ],
)
def test_what_is_no_place_is_refused_by_name(url: str, words: str) -> None:
    with pytest.raises(RequestError) as refusal:
        normalise(url)
    assert str(refusal.value).startswith(words)
    assert "\n" not in str(refusal.value)


def test_what_is_in_a_bucket_is_remote() -> None:
    assert is_remote("s3://bucket/x")
    assert not is_remote("/s3://bucket/x")


@settings(max_examples=examples(200), derandomize=True, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=3))
def test_any_file_name_survives_as_a_uri(names: list[bytes]) -> None:
    """Any bytes but the slash and zero, which no file system allows."""
    parts = [name.replace(b"/", b"_").replace(b"\0", b"_") for name in names]
    path = os.fsdecode(b"/" + b"/".join(parts))
    uri = file_uri(path)
    assert uri.isascii()
    assert uri.isprintable()
    assert file_path(uri) == path, "an object's name is never resolved"


SPELLINGS = st.lists(
    st.sampled_from(["real", "link", "link of a link", "up", "same", "empty", "inside"]), max_size=6
)


@settings(max_examples=examples(150), derandomize=True, deadline=None)
@given(
    steps=SPELLINGS,
    end=st.sampled_from(["", "/", "//", "/."]),
    scheme=st.sampled_from(["", "file://", "file://localhost"]),
)
def test_any_spelling_of_a_folder_gives_one_name(
    steps: list[str], end: str, scheme: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whether the folder is there or not: a workspace may be made later."""
    base = tmp_path_factory.getbasetemp() / "spellings"
    target = base / os.fsdecode(b"real \xff%41")
    if not target.exists():
        (target / "inside").mkdir(parents=True)
        (base / "link").symlink_to(target)
        (base / "link of a link").symlink_to("link")
    real = target.name
    walked = {
        "real": f"/{real}/..",
        "link": f"/link/inside/../../{real}/..",
        "link of a link": "/link of a link/..",
        "up": f"/../{base.name}",
        "same": "/.",
        "empty": "//",
        "inside": f"/{real}/inside/../..",
    }
    prefix = str(base) + "".join(walked[step] for step in steps)
    for last in (real, "link", "link of a link"):
        for below in ("", "/inside", "/not there/../yet"):
            path = f"{prefix}/{last}{below}{end}"
            url = f"{scheme}{file_uri(path)[7:]}" if scheme else path
            expected = f"{target}{below.replace('/not there/..', '')}"
            assert normalise(url) == expected
            assert normalise(expected) == expected


def test_a_relative_name_means_what_the_system_would_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a link, `..` is the folder above its target."""
    (tmp_path / "disk" / "jobs").mkdir(parents=True)
    (tmp_path / "disk" / "archive").mkdir()
    (tmp_path / "jobs").symlink_to("disk/jobs")
    monkeypatch.chdir(tmp_path / "jobs")
    assert normalise("../archive") == str(tmp_path / "disk" / "archive")
    monkeypatch.chdir(tmp_path)
    assert normalise("jobs/../archive") == str(tmp_path / "disk" / "archive")


def test_a_folder_that_is_gone_under_the_shell_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    with pytest.raises(RequestError, match="the working directory was deleted; give the full path"):
        normalise("archive")
    assert normalise("/data") == "/data"


@pytest.mark.parametrize(
    ("url", "place", "expected"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", False),
        ("/ab", "/a", False),
        ("/a", "/", True),
        ("/", "/", False),
        ("s3://b/a", "s3://b", True),
        ("s3://bb", "s3://b", False),
    ],
)
def test_below_means_strictly_inside(url: str, place: str, expected: bool) -> None:
    assert is_below(url, place) is expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/deep/ISIC_0024306.jpg", "ISIC_0024306"),
        ("s3://bucket/a%20b.jpg", "a%20b"),  # a bucket's key is as it is
        ("s3://bucket/a.b.jpeg", "a.b"),
        ("s3://bucket/no-ending", "no-ending"),
        ("file:///x.jpg/ISIC_0024306.JPG", "ISIC_0024306"),
        ("file:///x/a%20b.jpg", "a b"),
        ("file:///x/l%C3%A4sion.png", "läsion"),
        ("file:///x/%FF%FE.png", "\ufffd\ufffd"),
        ("file:///x/a%2Eb%2Fc.png", "a.b/c"),
    ],
)
def test_the_image_id_is_the_stem(uri: str, expected: str) -> None:
    assert image_id(uri) == expected
