"""Tests of skinml/checkup/nights.py: what a good night is, and when the nights are a problem."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.checkup import nights

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(hours=26)


def row(hours_ago: float, **more: Any) -> dict[str, Any]:
    asked = {"archive": "/archive", "model": "champion", **more.pop("asked", {})}
    finished = NOW - timedelta(hours=hours_ago)
    return {
        "run_id": f"score-{hours_ago}",
        "flow": "score",
        "status": "completed",
        "started_at": finished - timedelta(minutes=9),
        "finished_at": finished,
        "done": 100,
        "quarantined": 0,
        "parameters": json.dumps(asked),
        "error": None,
        "health": "usual",
        "health_detail": None,
        **more,
    }


def sort(*rows: dict[str, Any], archive: str | None = None) -> nights.Nights:
    return nights.sort_nights(rows, NOW, lambda asked: archive in (None, asked))


@pytest.mark.parametrize(
    "other",
    [
        row(1, flow="prepare"),
        row(1, status="failed"),
        row(1, asked={"backfill": True}),
        row(1, asked={"limit": 5}),
        row(1, asked={"since": "2026-11-01T00:00:00Z"}),
        row(1, asked={"until": "2026-11-01T00:00:00Z"}),
        row(1, asked={"model": "20261127T200710Z-559f44"}),
        row(1, asked={"archive": "/elsewhere"}),
        row(1, parameters="not JSON"),
        row(1, parameters="[1]"),
        row(-1),
    ],
)
def test_a_good_night_is_a_completed_run_with_the_champion_over_all(
    other: dict[str, Any],
) -> None:
    found = sort(other, row(30), archive="/archive")
    assert [one["run_id"] for one in found.good] == ["score-30"]
    [problem] = nights.lateness(found, NOW, DAY)
    assert problem.kind == "late"
    assert "score-30, ended 30 h ago" in problem.detail
    assert problem.told == "the last good night ended 30 hours ago; 26 are allowed"


def test_a_night_within_the_time_is_good_also_with_recheck() -> None:
    assert nights.lateness(sort(row(25.9, asked={"recheck": True})), NOW, DAY) == []


def test_what_failed_since_is_said() -> None:
    failed = row(3, status="failed", error="RunError: 23 %\nof the images")
    [problem] = nights.lateness(sort(row(50), failed), NOW, DAY)
    assert problem.detail.endswith("since then 1 failed, the last one with: RunError: 23 % of the images")


def test_nothing_was_ever_scored() -> None:
    [problem] = nights.lateness(sort(row(1, status="failed")), NOW, DAY)
    assert problem.kind == "never"
    assert "score-1, failed" in problem.detail


def test_tonight_has_drifted_until_a_night_that_can_be_judged_is_usual() -> None:
    drifted = row(10, health="drifted", health_detail=json.dumps({"sentence": "do not trust\nthis run"}))
    [problem] = nights.drift(sort(drifted), NOW, DAY)
    assert problem.detail == "score-10 has drifted: do not trust this run"
    assert nights.drift(sort(drifted, row(1, health="too_few")), NOW, DAY) != []
    assert nights.drift(sort(drifted, row(1)), NOW, DAY) == []
    assert nights.drift(sort({**drifted, "finished_at": NOW - timedelta(hours=27)}), NOW, DAY) == []
    assert nights.drift(sort({**drifted, "health_detail": "{"}), NOW, DAY) != []


@pytest.mark.parametrize(
    ("before", "recent", "rises"),
    [
        ([(100, 1)] * 10, [(80, 20)] * 3, True),
        ([(100, 1)] * 10, [(98, 2)] * 3, False),  # by 1 point
        ([(100, 20)] * 10, [(80, 16)] * 3, False),  # as always
        ([(80, 20)] * 10, [(99, 1)] * 3, False),  # falls
        ([(10, 0)] * 4, [(80, 20)] * 3, False),  # 40 images before are too few
        ([(100, 0)] * 10, [(10, 3)] * 3, False),  # 39 images now are too few
        ([(100, 0)] * 10, [(60, 4), (60, 0), (0, 0)], False),  # 4 broken files
        ([(100, 1)] * 10, [(70, 30), (0, 0), (0, 0)], True),  # nights without new images say nothing
        ([], [(0, 100)] * 3, False),  # nothing to compare with
    ],
)
def test_the_quarantine_rises_if_more_is_rejected_than_before_and_not_by_chance(
    before: list[tuple[int, int]], recent: list[tuple[int, int]], rises: bool
) -> None:
    counts = [*before, *recent]
    rows = [
        row(24.0 * (len(counts) - number), done=done, quarantined=quarantined)
        for number, (done, quarantined) in enumerate(counts)
    ]
    assert [one.kind for one in nights.rising_quarantine(sort(*rows))] == ["quarantine"] * rises


def test_the_rise_is_told_in_numbers() -> None:
    rows = [row(24.0 * (13 - number), done=98, quarantined=2) for number in range(10)]
    rows += [row(24.0 * (3 - number), done=70, quarantined=30) for number in range(3)]
    [problem] = nights.rising_quarantine(sort(*rows))
    assert problem.told == "30% of 300 new images could not be used, 2% before"


def test_rows_from_the_future_are_said_and_are_no_nights() -> None:
    found = sort(row(-24 * 40), row(30))
    [problem] = nights.from_the_future(found, NOW)
    assert "by 40 days" in problem.detail
    assert [one["run_id"] for one in found.good] == ["score-30"]
    assert nights.from_the_future(sort(row(-0.05)), NOW) == []  # 3 minutes: clocks differ


@given(
    st.lists(
        st.tuples(
            st.floats(-1e4, 1e5),
            st.integers(0, 10**6),
            st.integers(0, 10**6),
            st.sampled_from(["usual", "drifted", "too_few", None]),
            st.one_of(st.none(), st.text(max_size=20)),
        ),
        max_size=40,
    )
)
def test_any_rows_can_be_judged_and_told(rows: list[tuple[float, int, int, str | None, str | None]]) -> None:
    found = sort(
        *(
            row(hours, done=done, quarantined=bad, health=health, error=text, health_detail=text)
            for hours, done, bad, health, text in rows
        )
    )
    problems = [
        *nights.lateness(found, NOW, DAY),
        *nights.drift(found, NOW, DAY),
        *nights.rising_quarantine(found),
        *nights.from_the_future(found, NOW),
    ]
    for problem in problems:
        assert problem.detail.isprintable() or problem.kind == "drifted"
        assert problem.told.isascii()
