"""Tests of skinml/lab/drill/compare.py: every way to tamper with tables is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from skinml import tables
from skinml.lab.drill.compare import (
    Account,
    State,
    Wrong,
    compare,
    compare_health,
    compare_promoted,
    read_state,
)
from skinml.records.unpublished import Origin, Record, write_record
from skinml.schemas import PROBABILITY_COLUMNS, QUARANTINE, RUNS, SCORES

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIRST, SECOND, DEAD = (f"score-20260102T030405Z-00000{number}" for number in range(3))


def score_row(number: int, run_id: str, **more: Any) -> dict[str, Any]:
    uri = f"file:///{number}.jpg"
    row = dict.fromkeys(SCORES.names) | dict.fromkeys(PROBABILITY_COLUMNS, 1 / 7)
    row |= {"run_id": run_id, "run_date": date(2026, 1, 2), "image_id": str(number), "uri": uri, "etag": "e"}
    row |= {"size_bytes": 9, "model_name": "cnn", "model_version": "v1", "predicted_dx": "nv", "flags": ""}
    row |= {"p_malignant": 3 / 7, "confidence": 1 / 7, "precision": "fp32"}
    return row | more


def bad_row(number: int, run_id: str, reason: str = "empty") -> dict[str, Any]:
    row = {"run_id": run_id, "flow": "score", "uri": f"file:///bad-{number}.jpg", "etag": "e"}
    return row | {"size_bytes": 0, "reason": reason, "detail": "0 bytes", "quarantined_at": NOW}


def run_record(run_id: str, done: int, quarantined: int, skipped: int) -> dict[str, Any]:
    row: dict[str, Any] = {"run_id": run_id, "flow": "score", "status": "completed", "done": done}
    return row | {"quarantined": quarantined, "skipped": skipped, "listed": done + quarantined + skipped}


def add(workspace: str, table: str, *rows: dict[str, Any]) -> None:
    """Rows that got there, whoever wrote them."""
    schema = {"scores": SCORES, "quarantine": QUARANTINE, "runs": RUNS}[table]
    partitions = ["run_date"] if table == "scores" else None
    rows_ = pa.Table.from_pylist(list(rows), schema=schema)
    write_deltalake(f"{workspace}/{table}", rows_, mode="append", partition_by=partitions)


def remove(workspace: str, table: str, which: str) -> None:
    """Rows that are gone, and the files that they were in."""
    delta = DeltaTable(f"{workspace}/{table}")
    delta.delete(which)
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


@pytest.fixture
def workspace(tmp_path: Path) -> str:
    """Two runs: three images and a bad one, then one image more."""
    place = str(tmp_path / "workspace")
    add(place, "scores", *(score_row(number, FIRST) for number in range(3)))
    add(place, "scores", score_row(3, SECOND))
    add(place, "quarantine", bad_row(0, FIRST))
    add(place, "runs", run_record(FIRST, 3, 1, 0), run_record(SECOND, 1, 0, 4))
    return place


@pytest.fixture
def expected(tmp_path: Path) -> State:
    """The same, done by one run that nobody disturbed."""
    place = str(tmp_path / "undisturbed")
    add(place, "scores", *(score_row(number, DEAD) for number in range(4)))
    add(place, "quarantine", bad_row(0, DEAD))
    add(place, "runs", run_record(DEAD, 4, 1, 0))
    return read_state(place)


def account(run_id: str, code: int = 0, alone: bool = True, **result: int) -> Account:
    return Account(f"run {run_id[-1]}", run_id, code, result or None, alone, leaves_row=code >= 0)


ACCOUNTS = [
    account(FIRST, -9, alone=False),
    account(SECOND, listed=5, skipped=4, scored=1, quarantined=0),
    account(DEAD, -9, alone=False),
]


def test_what_is_right_has_no_findings(workspace: str, expected: State) -> None:
    add(workspace, "quarantine", bad_row(7, SECOND, "read_error"))  # tried again by a later run, and scored
    remove(workspace, "runs", f"run_id = '{SECOND}'")
    add(workspace, "runs", run_record(SECOND, 1, 1, 3))
    accounts = [ACCOUNTS[0], account(SECOND, listed=5, skipped=3, scored=1, quarantined=1), ACCOUNTS[2]]
    write_unseen(workspace, DEAD)
    assert compare(expected, read_state(workspace), accounts) == []


def test_a_promoted_version_has_every_row_and_the_earlier_one_some(workspace: str, expected: State) -> None:
    add(workspace, "scores", *(score_row(number, DEAD, model_version="v2") for number in range(4)))
    remove(workspace, "scores", "model_version = 'v1' and image_id = '1'")
    found = read_state(workspace).scores
    assert list(compare_promoted("v2", expected.scores, found)) == []
    wrong = [Wrong.LOST, Wrong.DOUBLED, Wrong.ORPHAN, Wrong.DIFFERENT]
    add(workspace, "scores", score_row(9, DEAD), score_row(2, DEAD), score_row(3, DEAD, model_version="v2"))
    remove(workspace, "scores", "model_version = 'v2' and image_id = '0'")
    add(workspace, "scores", score_row(5, DEAD, model_version="v2"))
    findings = list(compare_promoted("v2", expected.scores, read_state(workspace).scores))
    assert [finding.wrong for finding in findings] == [*wrong[:3], Wrong.DOUBLED, Wrong.ORPHAN]


def write_unseen(workspace: str, run_id: str) -> None:
    rows = pa.Table.from_pylist([score_row(2, run_id)], schema=SCORES)
    tables.write_part(workspace, "scores", rows, f"{run_id}-00007", {"run_date": "2026-01-02"})


def lose_a_row(workspace: str) -> None:
    remove(workspace, "scores", "image_id = '1'")


def lose_all(workspace: str) -> None:
    remove(workspace, "scores", "true")


def double_a_row(workspace: str) -> None:
    add(workspace, "scores", score_row(1, FIRST))


def publish_an_orphan(workspace: str) -> None:
    """A part of a run that died becomes visible, beside the rows of the run that did its work again."""
    rows = pa.Table.from_pylist([score_row(2, DEAD)], schema=SCORES)
    part = tables.write_part(workspace, "scores", rows, f"{DEAD}-00000", {"run_date": "2026-01-02"})
    tables.publish(workspace, "scores", [part], "somebody")


def a_row_of_nothing(workspace: str) -> None:
    add(workspace, "scores", score_row(9, FIRST))


def other_etag(workspace: str) -> None:
    lose_a_row(workspace)
    add(workspace, "scores", score_row(1, FIRST, etag="other"))


def change(**columns: Any) -> Callable[[str], None]:
    def tamper(workspace: str) -> None:
        lose_a_row(workspace)
        add(workspace, "scores", score_row(1, FIRST, **columns))

    return tamper


def lose_a_bad_one(workspace: str) -> None:
    remove(workspace, "quarantine", "reason = 'empty'")


def another_bad_one(workspace: str) -> None:
    add(workspace, "quarantine", bad_row(5, FIRST))


def a_bad_one_twice(workspace: str) -> None:
    add(workspace, "quarantine", bad_row(0, SECOND))


def another_reason(workspace: str) -> None:
    lose_a_bad_one(workspace)
    add(workspace, "quarantine", bad_row(0, FIRST, "truncated"))


def no_row(workspace: str) -> None:
    remove(workspace, "runs", f"run_id = '{FIRST}'")


def two_rows(workspace: str) -> None:
    add(workspace, "runs", run_record(FIRST, 3, 1, 0))


def a_row_of_nobody(workspace: str) -> None:
    add(workspace, "runs", run_record("score-20260102T030405Z-ffffff", 0, 0, 5))


def counts(**columns: int) -> Callable[[str], None]:
    def tamper(workspace: str) -> None:
        no_row(workspace)
        add(workspace, "runs", run_record(FIRST, 3, 1, 0) | columns)

    return tamper


def failed(workspace: str) -> None:
    no_row(workspace)
    add(workspace, "runs", run_record(FIRST, 4, 1, 0) | {"status": "failed"})


def no_row_of_a_run_that_completed(workspace: str) -> None:
    remove(workspace, "runs", f"run_id = '{SECOND}'")


def a_stray_file(workspace: str) -> None:
    write_unseen(workspace, SECOND)


def a_record_left(workspace: str) -> None:
    part = tables.Part("run_date=2026-01-02/part-x.parquet", 1, 1, {"run_date": "2026-01-02"})
    write_record(workspace, DEAD, Record("scores", part, Origin("score", "cnn", "v1", "fp32", "", "0.1.0")))


LOST, DOUBLED, ORPHAN, RUNS_WRONG = (Wrong.LOST, 1), (Wrong.DOUBLED, 1), (Wrong.ORPHAN, 1), (Wrong.RUNS, 1)
DIFFERENT, BAD = (Wrong.DIFFERENT, 1), (Wrong.QUARANTINE, 1)


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (lose_a_row, {LOST, RUNS_WRONG}),
        (lose_all, {(Wrong.LOST, 4), RUNS_WRONG}),
        (double_a_row, {DOUBLED, RUNS_WRONG}),
        (publish_an_orphan, {DOUBLED, RUNS_WRONG}),
        (a_row_of_nothing, {ORPHAN, RUNS_WRONG}),
        (other_etag, {LOST, ORPHAN}),
        (change(p_mel=1 / 7 + 2e-6), {DIFFERENT}),
        (change(p_mel=None), {DIFFERENT}),
        (change(predicted_dx="mel"), {DIFFERENT}),
        (change(size_bytes=8), {DIFFERENT}),
        (change(flags=None), {DIFFERENT}),
        (lose_a_bad_one, {BAD, RUNS_WRONG}),
        (another_bad_one, {BAD, RUNS_WRONG}),
        (a_bad_one_twice, {BAD, RUNS_WRONG}),
        (another_reason, {BAD}),
        (no_row, {RUNS_WRONG}),
        (two_rows, {RUNS_WRONG}),
        (a_row_of_nobody, {RUNS_WRONG}),
        (counts(skipped=1), {RUNS_WRONG}),
        (counts(done=2, skipped=1), {RUNS_WRONG}),
        (failed, {RUNS_WRONG}),
        (no_row_of_a_run_that_completed, {RUNS_WRONG}),
        (a_stray_file, {ORPHAN}),
        (a_record_left, {ORPHAN}),
    ],
)
def test_tampering_is_found(
    tamper: Callable[[str], None], found: set[tuple[Wrong, int]], workspace: str, expected: State
) -> None:
    tamper(workspace)
    findings = compare(expected, read_state(workspace), ACCOUNTS)
    assert {(finding.wrong, finding.number) for finding in findings} == found
    assert all("\n" not in finding.text for finding in findings)


def test_a_difference_within_rounding_is_none(workspace: str, expected: State) -> None:
    change(p_mel=1 / 7 + 5e-7)(workspace)
    assert compare(expected, read_state(workspace), ACCOUNTS) == []


def test_a_night_that_published_everything_has_the_health_of_the_undisturbed_one(tmp_path: Path) -> None:
    def runs(run_id: str, done: int, health: str, psi: float) -> pd.DataFrame:
        detail = json.dumps({"verdict": health, "images": done, "measures": [{"psi": psi}]})
        row = run_record(run_id, done, 0, 0) | {"health": health, "health_detail": detail}
        frame: pd.DataFrame = pa.Table.from_pylist([row], schema=RUNS).to_pandas()
        return frame

    wanted = runs(FIRST, 4, "usual", 0.1)
    assert list(compare_health(wanted, runs(SECOND, 4, "usual", 0.1 + 1e-12))) == []
    assert list(compare_health(wanted, runs(SECOND, 3, "drifted", 0.9))) == [], "another night: fewer images"
    for other in (runs(SECOND, 4, "drifted", 0.1), runs(SECOND, 4, "usual", 0.2)):
        [finding] = compare_health(wanted, other)
        assert (finding.wrong, finding.number) == (Wrong.DIFFERENT, 1)
        assert SECOND in finding.text


def test_what_a_run_printed_is_held_against_its_row(workspace: str, expected: State) -> None:
    wrong = account(SECOND, listed=5, skipped=3, scored=2, quarantined=0)
    [finding] = compare(expected, read_state(workspace), [ACCOUNTS[0], wrong, ACCOUNTS[2]])
    assert finding.wrong is Wrong.RUNS
    assert SECOND in finding.text


def test_a_run_that_ended_by_itself_and_has_no_row_is_found(workspace: str, expected: State) -> None:
    failed = account(DEAD, 1, alone=False)
    [finding] = compare(expected, read_state(workspace), [*ACCOUNTS[:2], failed])
    assert (finding.wrong, finding.text) == (Wrong.RUNS, f"1 runs that have no row in runs: {DEAD}")
