"""Tests of skinml/storage/urls.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.errors import RequestError
from skinml.storage.urls import file_uri, image_id, is_remote, normalise


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3://bucket//a///b", "s3://bucket/a/b"),
        ("s3://bucket/a prefix/ä%20", "s3://bucket/a prefix/ä%20"),
        ("/data/archive/", "/data/archive"),
        ("/", "/"),
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
        ("s3://", "'s3://' names no bucket: write s3://bucket/prefix"),
        ("s3:///prefix", "'s3:///prefix' names no bucket"),
        (
            "gs://bucket/x",
            "'gs://bucket/x': only folders, file:///folder and s3://bucket/prefix are understood",
        ),
        ("s3:/bucket/x", "'s3:/bucket/x': only folders"),  # never a folder called s3:
        ("file://relative", "'file://relative': only folders"),
        ("https://host/x", "'https://host/x': only folders"),
        ("", "'' is no folder: name one"),
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


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=3))
def test_any_file_name_survives_as_a_uri(names: list[bytes]) -> None:
    """Any bytes but the slash and zero, which no file system allows."""
    parts = [name.replace(b"/", b"_").replace(b"\0", b"_") for name in names]
    path = os.fsdecode(b"/" + b"/".join(parts))
    uri = file_uri(path)
    assert uri.isascii()
    assert uri.isprintable()
    assert normalise(uri) == path


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
