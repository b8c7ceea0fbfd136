"""Tests of skinml/records/quarantine.py: which images are in quarantine now, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from skinml import tables
from skinml.errors import RequestError
from skinml.records.quarantine import by_reason, failures_of_archives, in_quarantine, one_by_one
from skinml.schemas import TABLES

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Book:
    """Writes rows of the tables, each an hour after the one before."""

    def __init__(self, workspace: str) -> None:
        self.workspace = workspace
        self.now = START

    def add(self, table: str, when: str, run_id: str, **columns: Any) -> None:
        self.now += timedelta(hours=1)
        row = {"run_id": run_id, when: self.now, **columns}
        rows = pa.Table.from_pylist([row], schema=TABLES[table])
        name = f"{table}-{self.now:%d%H}"
        if table == "scores":
            day = {"run_date": "2026-01-02"}
            tables.publish(
                self.workspace, table, [tables.write_part(self.workspace, table, rows, name, day)], name
            )
        else:
            tables.append(self.workspace, table, rows, name)

    def failed(
        self, uri: str, reason: str, run_id: str = "run 1", flow: str = "score", etag: str = "e"
    ) -> None:
        named = {"uri": uri, "etag": etag, "reason": reason, "flow": flow, "size_bytes": 7}
        self.add("quarantine", "quarantined_at", run_id, **named, detail=f"{reason} of {uri}")

    def scored(self, uri: str, model: str = "v1", run_id: str = "run 9", etag: str = "e") -> None:
        self.add("scores", "scored_at", run_id, uri=uri, etag=etag, model_version=model)

    def ran(self, run_id: str, flow: str = "score", model: str | None = "v1") -> None:
        self.add("runs", "started_at", run_id, flow=flow, model_version=model)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(str(tmp_path))


def now(book: Book, **filters: Any) -> list[tuple[str, str, int]]:
    found = in_quarantine(book.workspace, **filters)
    return sorted(zip(found["uri"], found["reason"], found["tries"], strict=True))


def test_an_image_that_fails_every_night_is_one_image_with_many_tries(book: Book) -> None:
    for run in ("run 1", "run 2", "run 3"):
        book.failed("a", "read_error", run)
    book.failed("b", "truncated", "run 2")
    book.failed("b", "truncated", "run 3", etag="newer")
    assert now(book) == [("a", "read_error", 3), ("b", "truncated", 1), ("b", "truncated", 1)]
    groups = by_reason(in_quarantine(book.workspace))
    assert groups == [
        {
            "flow": "score",
            "reason": "truncated",
            "images": 2,
            "uris": 1,
            "tries": 2,
            "oldest": "2026-01-02T07:04:05Z",
            "newest": "2026-01-02T08:04:05Z",
            "uri": "b",
            "detail": "truncated of b",
        },
        {
            "flow": "score",
            "reason": "read_error",
            "images": 1,
            "uris": 1,
            "tries": 3,
            "oldest": "2026-01-02T04:04:05Z",
            "newest": "2026-01-02T06:04:05Z",
            "uri": "a",
            "detail": "read_error of a",
        },
    ]
    latest = one_by_one(in_quarantine(book.workspace))[0]
    assert (latest["etag"], latest["run_id"], latest["newest"]) == ("newer", "run 3", "2026-01-02T08:04:05Z")


def test_the_latest_reason_counts_and_a_replay_goes_on_where_score_was(book: Book) -> None:
    book.failed("a", "read_error", "run 1")
    book.failed("a", "empty", "run 2", flow="replay")
    assert now(book) == [("a", "empty", 2)]
    assert now(book, flow="score", reason="empty") == [("a", "empty", 2)]
    assert now(book, reason="read_error") == []


def test_what_could_be_used_since_is_not_in_quarantine(book: Book) -> None:
    for uri in ("a", "b", "c"):
        book.failed(uri, "decode_error")
    book.scored("a", model="any")
    book.scored("b", etag="other bytes")
    assert now(book) == [("b", "decode_error", 1), ("c", "decode_error", 1)]
    book.failed("a", "decode_error", "run 2")
    assert ("a", "decode_error", 2) in now(book), "and is again once it fails again"


def test_a_row_that_was_there_before_the_failure_ends_nothing(book: Book) -> None:
    """Other bytes under a known etag go to quarantine, and the row that was first stands."""
    book.scored("a")
    book.failed("a", "duplicate_id")
    assert now(book) == [("a", "duplicate_id", 1)]


def test_of_two_runs_at_once_the_one_that_could_read_ends_the_others_error(book: Book) -> None:
    book.ran("run 1", model="v1")
    book.ran("run 2", model="v2")
    book.scored("a", model="v1")
    book.failed("a", "read_error", "run 1")
    book.scored("b", model="v1")
    book.failed("b", "read_error", "run 2")  # for v2, it is still to be read
    assert now(book) == [("b", "read_error", 1)]


def test_what_prepare_could_not_use_ends_with_a_sample(book: Book) -> None:
    for uri in ("a", "b"):
        book.failed(uri, "no_metadata", flow="prepare")
        book.failed(uri, "empty", flow="score")
    book.add("samples", "prepared_at", "run 2", uri="a", etag="e")
    assert now(book, flow="prepare") == [("b", "no_metadata", 1)]
    assert now(book, flow="score") == [("a", "empty", 1), ("b", "empty", 1)]
    assert len(now(book)) == 3


def test_one_runs_failures(book: Book) -> None:
    book.ran("run 1")
    book.ran("run 2")
    book.ran("train 1", flow="train")
    book.failed("a", "read_error", "run 1")
    book.failed("a", "read_error", "run 2")
    book.failed("b", "empty", "run 2")
    assert now(book, run_id="run 1") == [("a", "read_error", 2)]
    assert now(book, run_id="run 2") == [("a", "read_error", 2), ("b", "empty", 1)]
    with pytest.raises(
        RequestError, match=r"--run train 1: no run of prepare or score or replay .* run 2, run 1"
    ):
        in_quarantine(book.workspace, run_id="train 1")


def test_a_row_without_detail_can_be_shown(book: Book) -> None:
    book.add(
        "quarantine", "quarantined_at", "run 1", uri="a", etag="e", reason="empty", flow="score", size_bytes=0
    )
    found = in_quarantine(book.workspace)
    shown = json.loads(json.dumps([*by_reason(found), *one_by_one(found)], allow_nan=False))
    assert [row["detail"] for row in shown] == ["", ""]
    assert shown[1]["size_bytes"] == 0


def test_an_empty_quarantine(tmp_path: Path) -> None:
    found = in_quarantine(str(tmp_path))
    assert (len(found), by_reason(found), one_by_one(found)) == (0, [], [])
    with pytest.raises(RequestError, match="there are no such runs yet"):
        in_quarantine(str(tmp_path), run_id="run 1")


def test_failures_of_archives_are_named_as_a_listing_names_them_and_prepares_are_none(
    book: Book, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    book.failed(f"file://{tmp_path}/a/../a/x.jpg", "read_error")
    book.failed(f"file://{tmp_path}/a/y.jpg", "truncated", flow="prepare")
    book.failed(f"file://{tmp_path}/a/z.jpg", "read_error", flow="replay")
    found = failures_of_archives(book.workspace)
    assert found.column_names == ["uri", "etag", "reason"]
    assert sorted(found["uri"].to_pylist()) == [f"file://{tmp_path}/a/{name}.jpg" for name in "xz"]
