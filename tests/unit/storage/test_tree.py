"""Tests of skinml/storage/tree.py: everything below a place, on a folder and on a bucket."""

from __future__ import annotations

from collections.abc import Callable

from skinml.storage.tree import walk

Put = Callable[[str, bytes], None]


def test_every_object_is_found_at_any_depth_whatever_it_is(place: str, put: Put) -> None:
    names = ["a.jpg", "table/_delta_log/0.json", "table/day=1/part 1.parquet", "table/.hidden"]
    for name in names:
        put(f"{place}/below/{name}", b"x")
    put(f"{place}/below it/not.this", b"x")
    assert sorted(walk(f"{place}/below")) == sorted(names)
    assert sorted(walk(f"{place}/below/table/day=1")) == ["part 1.parquet"]
    assert list(walk(f"{place}/nowhere")) == []
