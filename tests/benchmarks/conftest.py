"""What the tests of benchmarks share: inputs of a few made-up photographs, wherever the real ones are."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness import inputs
from benchmarks.harness.inputs import KINDS, Input, make_input
from tests.conftest import made_once


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    _make_up(monkeypatch)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with a few files of each kind. Shared by the session: look, do not touch."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            _make_up(patch)
            for kind, count in (("q75", 12), ("near_original", 2), ("camera", 1)):
                make_input(KINDS[kind], count, folder)

    return made_once(tmp_path_factory, "bench", make)


@pytest.fixture
def given(cache: Path) -> Input:
    """Twelve images of 600x450."""
    return make_input(KINDS["q75"], 12, cache)


def _make_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inputs, "REAL", Path("not there"))
    patch.setattr(inputs, "MADE_UP", 8)
