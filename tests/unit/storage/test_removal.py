"""Tests of skinml/storage/removal.py, on a folder and in a bucket."""

from __future__ import annotations

from pathlib import Path

import obstore

from skinml.storage.connection import split
from skinml.storage.objects import names, write_bytes
from skinml.storage.removal import delete, delete_folder
from skinml.storage.urls import is_remote


def objects_below(url: str) -> list[str]:
    """Paths of all files below a folder or prefix, without prefixes: SeaweedFS shows empty ones a while."""
    if is_remote(url):
        store, prefix = split(url)
        found = [item["path"] for batch in obstore.list(store, f"{prefix}/") for item in batch]
        return sorted(path.removeprefix(f"{prefix}/") for path in found)
    files = (path for path in Path(url).rglob("*") if path.is_file())
    return sorted(path.relative_to(url).as_posix() for path in files)


def test_a_folder_goes_with_its_last_file(place: str) -> None:
    for name in ("one", "two"):
        write_bytes(f"{place}/folder/{name}", b"x")
    delete([f"{place}/folder/one", f"{place}/folder/never"])
    assert names(f"{place}/folder") == ["two"]
    delete([f"{place}/folder/two"])
    assert objects_below(place) == []


def test_everything_below_a_folder_goes_and_nothing_beside_it(place: str) -> None:
    for name in ("folder/one", "folder/deep/er/two", "folder.json", "folder2/three"):
        write_bytes(f"{place}/{name}", b"x")
    for _ in range(2):  # the second time nothing is there
        delete_folder(f"{place}/folder")
        assert objects_below(place) == ["folder.json", "folder2/three"]
