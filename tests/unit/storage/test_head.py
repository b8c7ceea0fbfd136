"""Tests of skinml/storage/head.py: what single objects are now, as a listing would say it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from skinml.storage import connection
from skinml.storage.head import Seen, head_objects
from skinml.storage.listing import list_images
from skinml.storage.urls import file_uri

Put = Callable[[str, bytes], None]


def test_an_object_is_what_the_listing_says(place: str, put: Put) -> None:
    for name in ("a.jpg", "deep/er/b c.jpg", "ü%20.jpg"):
        put(f"{place}/{name}", name.encode())
    listed = pa.Table.from_batches([piece.images for piece in list_images(place)]).to_pylist()
    assert len(listed) == 3
    seen = list(head_objects([row["uri"] for row in listed]))
    for row, one in zip(listed, seen, strict=True):
        assert isinstance(one, Seen)
        assert (one.etag, one.size_bytes) == (row["etag"], row["size_bytes"])
        assert abs((one.last_modified - row["last_modified"]).total_seconds()) < 1  # S3 says whole seconds here


def test_what_is_gone_is_told_from_what_cannot_be_said(place: str, put: Put) -> None:
    put(f"{place}/a.jpg", b"a")
    base = place if place.startswith("s3://") else file_uri(place)
    seen = list(head_objects([f"{base}/a.jpg", f"{base}/gone.jpg", f"{base}/a.jpg/below.jpg"]))
    assert isinstance(seen[0], Seen)
    assert all(isinstance(one, FileNotFoundError) for one in seen[1:])


def test_a_folder_on_the_way_that_may_not_be_read_is_not_gone(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "loop").symlink_to(tmp_path / "loop")  # root may read everything, but not this
        path = tmp_path / "loop" / "a.jpg"
    else:
        (tmp_path / "closed").mkdir(mode=0)
        path = tmp_path / "closed" / "a.jpg"
    [seen] = head_objects([path.as_uri()])
    assert isinstance(seen, OSError)
    assert not isinstance(seen, FileNotFoundError)


def test_a_key_that_is_refused_is_not_gone(bucket: str, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put(f"{bucket}/a.jpg", b"a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    connection.bucket.cache_clear()
    [seen] = head_objects([f"{bucket}/a.jpg"])
    assert isinstance(seen, Exception)
    assert not isinstance(seen, FileNotFoundError)


def test_keys_that_obstore_cannot_name(bucket: str, put: Put) -> None:
    for key in ("a//b.jpg", "line\nfeed.jpg"):
        put(f"{bucket}/{key}", b"abc")
    listed = pa.Table.from_batches([piece.images for piece in list_images(bucket)]).to_pylist()
    seen = list(head_objects([row["uri"] for row in listed]))
    assert [one.etag if isinstance(one, Seen) else one for one in seen] == [row["etag"] for row in listed]
    [gone] = head_objects([f"{bucket}/a//gone.jpg"])
    assert isinstance(gone, FileNotFoundError)
