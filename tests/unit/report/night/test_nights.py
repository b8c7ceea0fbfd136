"""Tests of skinml/report/night/nights.py: the page over all nights, its trends and its pages."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from skinml.records.runs import Counts, Run, run_row
from skinml.report.night.nights import ON_A_PAGE, nights_pages, page_names, read_summaries, trends
from skinml.storage.objects import write_bytes
from tests.unit.report.night.made_up import HOSTILE, STARTED


def _runs(count: int, **more: Any) -> pa.Table:
    rows = [
        run_row(
            Run(f"score-{number:03d}", "score", STARTED + timedelta(days=number), {}),
            *("completed", Counts(10 + number, 0, 10 + number, 0), "v1"),
            **more,
        )
        for number in range(count)
    ]
    return pa.concat_tables(rows)


def test_fifty_nights_to_a_page_the_newest_first_and_links_between_them() -> None:
    runs = _runs(ON_A_PAGE * 2 + 1)
    pages = nights_pages(runs, {"score-100": {"run_id": "score-100", "estimate": 0.71}})
    assert list(pages) == page_names(101) == ["index.html", "nights-2.html", "nights-3.html"]
    shown = {name: re.findall(r"score-\d{3}(?=[<(]| ?\()", page) for name, page in pages.items()}
    assert shown["index.html"] == [f"score-{number:03d}" for number in range(100, 50, -1)]
    assert shown["nights-3.html"] == ["score-000"]
    assert 'href="nights-2.html"' in pages["index.html"]
    assert 'href="score-100/index.html"' in pages["index.html"]
    assert 'href="score-099/index.html"' not in pages["index.html"], "it has no page"
    assert "0.71" in pages["index.html"]
    assert "Trends" in pages["index.html"]
    assert "Trends" not in pages["nights-2.html"]


def test_a_failed_run_says_why_and_its_words_are_no_markup() -> None:
    failed = run_row(Run("score-bad", "score", STARTED, {}), "failed", Counts(), None, HOSTILE[0])
    page = nights_pages(failed, {})["index.html"]
    assert HOSTILE[0] not in page
    assert "failed" in page
    assert "onerror=alert(1)&gt;" in page


def test_a_workspace_without_a_night_has_a_page_that_says_so() -> None:
    assert "No night has been scored yet" in nights_pages(_runs(1).slice(0, 0), {})["index.html"]


def test_trends_say_their_figures_in_words_and_mark_drifted_nights() -> None:
    nights = [
        {"done": done, "quarantined": 5, "images_per_second": 10.0, "estimated": estimate, "health": health}
        for done, estimate, health in ((100, 0.5, "usual"), (0, None, "drifted"), (50, 0.75, "usual"))
    ]
    scored, share, estimated, _ = trends(nights)
    assert "newest 50, lowest 0, highest 100, 3 nights" in scored["said"]
    assert "newest 9.1 %" in share["said"]
    assert "newest 0.75, lowest 0.50, highest 0.75, 2 nights" in estimated["said"]
    assert [dot["drifted"] for dot in estimated["dots"]] == [False, True, False]
    assert len(estimated["lines"]) == 2, "the line has a gap where nothing is known"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run_id": "b"}'])
def test_a_broken_summary_is_left_out(place: str, content: bytes) -> None:
    write_bytes(f"{place}/reports/nights/a.json", b'{"run_id": "a", "estimate": null}')
    write_bytes(f"{place}/reports/nights/b.json", content)
    assert set(read_summaries(place)) == ({"a", "b"} if b"run_id" in content else {"a"})
