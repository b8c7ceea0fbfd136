"""Tests of skinml/checkup/archive.py: an archive that is gone is noted, not a problem."""

from __future__ import annotations

import json
from pathlib import Path

from skinml.checkup.archive import archive_of, note_of_archive


def test_an_archive_that_is_gone_is_noted(tmp_path: Path) -> None:
    assert note_of_archive(str(tmp_path)) == []
    assert note_of_archive(None) == []
    [note] = note_of_archive(f"{tmp_path}/gone")
    assert note.startswith("the archive cannot be listed from this machine: ")
    assert f"{tmp_path}/gone" in note


def test_the_archive_of_a_night_is_that_of_its_parameters() -> None:
    assert archive_of({"parameters": json.dumps({"archive": "s3://clinic/2026"})}) == "s3://clinic/2026"
    for row in (
        None,
        {"parameters": None},
        {"parameters": "no JSON"},
        {"parameters": "[1]"},
        {"parameters": "{}"},
    ):
        assert archive_of(row) is None
