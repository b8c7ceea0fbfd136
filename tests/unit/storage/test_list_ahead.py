"""Tests of skinml/storage/list_ahead.py: the same listing, from a thread that ends."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from skinml.errors import RequestError
from skinml.storage import list_ahead as module
from skinml.storage import listing
from skinml.storage.list_ahead import list_ahead
from skinml.storage.listing import Listed, list_images


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """100 images, in pieces of 3."""
    monkeypatch.setattr(listing, "PIECE", 3)
    monkeypatch.setattr(module, "PIECES_AHEAD", 2)
    for number in range(100):
        (tmp_path / f"{number:03}.jpg").touch()
    return str(tmp_path)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "list-ahead"]


def test_it_is_the_same_listing(archive: str) -> None:
    with list_ahead(archive) as pieces:
        ahead = [piece.images for piece in pieces]
    assert ahead == [piece.images for piece in list_images(archive)]
    assert len(ahead) == 34
    assert not threads()


def test_it_is_asked_for_before_anybody_takes_from_it(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def noticed(url: str, left_out: Collection[str]) -> Iterator[Listed]:
        asked.set()
        yield from list_images(url, left_out)

    monkeypatch.setattr(module, "list_images", noticed)
    with list_ahead(archive):
        assert asked.wait(60)


def test_its_thread_ends_with_whoever_stops_early(archive: str) -> None:
    with list_ahead(archive) as pieces:
        assert next(pieces).images.num_rows == 3
        assert threads()
    assert not threads()


def test_what_goes_wrong_there_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such folder"), list_ahead(str(tmp_path / "missing")) as pieces:
        list(pieces)
    assert not threads()
