"""The stack of champions that the rows of `promotions` describe."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from skinml.models.promotions import last_champion, looks_at, predecessor


def row(decision: str, version: str, before: str | None, test_set: str | None = None) -> dict[str, Any]:
    return {
        "alias": "champion",
        "decision": decision,
        "model_version": version,
        "previous_version": before,
        "test_set": test_set,
    }


def test_decisions_that_change_no_champion_are_passed_over() -> None:
    rows = [row("kept", "v0", None), row("first", "v1", None), row("proposed", "v2", "v1")]
    assert predecessor(rows, "v1") is None
    assert last_champion(rows) == "v1"
    assert predecessor([], "v1") is None
    assert last_champion([]) is None


def test_a_version_that_was_promoted_twice_has_the_predecessor_of_its_last_time() -> None:
    rows = [row("first", "v1", None), row("promoted", "v2", "v1"), row("promoted", "v1", "v2")]
    assert predecessor(rows, "v1") == "v2"


def test_another_alias_has_a_history_of_its_own() -> None:
    rows = [row("first", "v1", None), {**row("promoted", "v2", "v1"), "alias": "shadow"}]
    assert last_champion(rows) == "v1"


def test_looks_are_counted_by_test_set() -> None:
    rows = [row("kept", "v1", None, "a"), row("first", "v2", None, "a"), row("rolled_back", "v1", "v2")]
    assert looks_at(rows, "a") == 3
    assert looks_at(rows, "b") == 1
    assert looks_at(rows, None) is None


@given(st.lists(st.one_of(st.none(), st.integers(1, 5)), max_size=30))
def test_rollbacks_undo_promotions_like_a_stack(steps: list[int | None]) -> None:
    """Against a plain list. None is a rollback, a number the promotion of that version."""
    stack: list[str] = []
    rows: list[dict[str, Any]] = []
    for step in steps:
        now = stack[-1] if stack else None
        if step is None:
            expected = stack[-2] if len(stack) > 1 else None
            assert now is None or predecessor(rows, now) == expected
            if expected is not None:
                rows.append(row("rolled_back", expected, now))
                stack.pop()
        elif now != f"v{step}":
            rows.append(row("promoted" if stack else "first", f"v{step}", now))
            stack.append(f"v{step}")
