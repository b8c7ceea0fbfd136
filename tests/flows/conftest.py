"""What the tests of flows share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import new_place


@pytest.fixture(params=[pytest.param("folder", marks=pytest.mark.drill), "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A bucket, and by `make drill-more` a folder too: most tests here work on a folder alone, in seconds."""
    return new_place(request, tmp_path)
