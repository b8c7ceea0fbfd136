"""Tests of skinml/scoring/follow_up.py: what a commit carries is read back, or refused in a line."""

from __future__ import annotations

import pytest

from skinml.errors import RunError
from skinml.scoring.follow_up import FollowUp, from_note, to_note
from skinml.tables import Part


def test_what_is_written_is_read() -> None:
    follow_up = FollowUp("score-1", [Part("part-1.parquet", 7, 1)], {"listed": 1, "error": None})
    assert from_note(to_note(follow_up)) == follow_up


@pytest.mark.parametrize(
    "note",
    ["", "{}", "[1]", '{"run_id": "x", "quarantine": [{"p\\n": 1}], "row": {}}', "[" * 100_000],
    ids=["empty", "without keys", "a list", "no part", "nested"],
)
def test_anything_else_is_said_in_one_line(note: str) -> None:
    with pytest.raises(
        RunError, match=r"^a commit of scores has no valid follow-up note \([^\n]+\); report this$"
    ):
        from_note(note)
