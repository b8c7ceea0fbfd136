"""Tests of skinml/scoring/redo.py: what a commit carries is read back, or refused in a line."""

from __future__ import annotations

import pytest

from skinml.errors import RunError
from skinml.scoring.redo import Redo, from_note, to_note
from skinml.tables import Part


def test_what_is_written_is_read() -> None:
    redo = Redo("score-1", [Part("part-1.parquet", 7, 1)], {"listed": 1, "error": None})
    assert from_note(to_note(redo)) == redo


@pytest.mark.parametrize(
    "note",
    ["", "{}", "[1]", '{"run_id": "x", "quarantine": [{"p\\n": 1}], "row": {}}', "[" * 100_000],
    ids=["empty", "without keys", "a list", "no part", "nested"],
)
def test_anything_else_is_said_in_one_line(note: str) -> None:
    with pytest.raises(
        RunError, match=r"^a commit of scores does not say what follows it \([^\n]+\); report this$"
    ):
        from_note(note)
