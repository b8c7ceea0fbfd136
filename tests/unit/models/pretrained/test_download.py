"""Tests of skinml/models/pretrained/download.py: one download, checked, kept in Keras's cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from skinml.errors import RequestError
from skinml.models.pretrained.download import fetch
from skinml.models.zoo.base import Download

DATA = b"weights of some network"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models" / "net.h5"


def _weights(folder: Path) -> Download:
    (folder / "net.h5").write_bytes(DATA)
    return Download((folder / "net.h5").as_uri(), hashlib.md5(DATA, usedforsecurity=False).hexdigest(), "MIT")


def test_a_file_is_fetched_once(tmp_path: Path, cache: Path) -> None:
    weights = _weights(tmp_path)
    assert fetch(weights) == DATA
    assert [path.name for path in cache.parent.iterdir()] == ["net.h5"]
    (tmp_path / "net.h5").unlink()
    assert fetch(weights) == DATA
    cache.write_bytes(b"damaged")
    with pytest.raises(RequestError, match=r"--weights imagenet: net.h5 cannot be fetched"):
        fetch(weights)


def test_another_file_is_refused_and_not_kept(tmp_path: Path, cache: Path) -> None:
    weights = _weights(tmp_path)
    (tmp_path / "net.h5").write_bytes(DATA + b"!")
    with pytest.raises(
        RequestError, match=r"net.h5 came with another MD5 than Keras names: fetch file://.* elsewhere"
    ):
        fetch(weights)
    assert not cache.exists()


def test_no_connection_is_said_with_what_to_do() -> None:
    weights = Download("http://127.0.0.1:9/net.h5", "0" * 32, "MIT")
    with pytest.raises(
        RequestError,
        match=r"^--weights imagenet: net.h5 cannot be fetched \(.*refused\): fetch http://127.0.0.1:9/net.h5"
        r" elsewhere and give --weights PATH, or --weights none$",
    ):
        fetch(weights)
