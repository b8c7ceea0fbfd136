"""Tests of skinml/records/kept_back.py and rows.py."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from skinml import tables
from skinml.records.kept_back import keep_back, write_kept_back
from skinml.records.rows import died, put_row
from skinml.records.runs import Counts, as_record, begin
from skinml.records.under_way import DeadRun


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "skinml" / "runs"


def test_a_kept_row_gets_to_its_workspace_once(place: str, state: Path) -> None:
    run = begin("score", {"archive": "a"})
    row = as_record(run, "failed", Counts(5, 2, 2, 1), "v1", "StorageError: gone")
    kept = keep_back(place, row)
    assert kept == state / f"{run.run_id}.json"
    assert kept.stat().st_mode & 0o077 == 0 or kept.parent.stat().st_mode & 0o077 == 0, "nobody else reads it"
    assert write_kept_back(f"{place}/another") == 0
    assert (write_kept_back(place), write_kept_back(place)) == (1, 0)
    [found] = tables.read(place, "runs").to_pylist()
    assert found == row | {"started_at": run.started_at}
    assert list(state.iterdir()) == []


def test_a_workspace_that_was_given_through_a_link_is_the_same_one(tmp_path: Path, state: Path) -> None:
    """Rows that an older skinml kept name it as it was given then."""
    (tmp_path / "workspace").mkdir()
    (tmp_path / "link").symlink_to("workspace")
    keep_back(f"{tmp_path}/link", as_record(begin("score", {}), "failed", Counts()))
    assert write_kept_back(f"{tmp_path}/workspace") == 1
    assert list(state.iterdir()) == []


def test_a_row_that_is_there_by_now_is_not_doubled(tmp_path: Path) -> None:
    workspace = str(tmp_path / "workspace")
    row = as_record(begin("score", {}), "failed", Counts())
    keep_back(workspace, row)
    assert put_row(workspace, row)
    write_kept_back(workspace)
    assert tables.read(workspace, "runs").num_rows == 1


def test_what_is_no_row_is_said_and_left_alone(
    tmp_path: Path, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state.mkdir(parents=True)
    (state / "broken.json").write_text("{")
    row = json.loads(json.dumps(as_record(begin("score", {}), "failed", Counts()), default=str))
    changes: list[dict[str, object]] = [
        {"run_id": "../../elsewhere"},
        {"run_id": 7},
        {"flow": "\ud800"},
        {"started_at": "9999-12-31T23:59:59-23:00"},  # no Python reads that back
    ]
    rows = [*(row | {"run_id": f"{number}"} | change for number, change in enumerate(changes)), {}, [1], None]
    for number, odd in enumerate(rows):
        (state / f"{number}.json").write_text(json.dumps({"workspace": str(tmp_path), "row": odd}))
    (state / "deep.json").write_text("[" * 100_000)
    os.mkfifo(state / "pipe.json")  # nobody writes to it: reading it would wait for ever
    assert write_kept_back(str(tmp_path)) == 0
    for name in ("broken", "deep", *map(str, range(len(rows)))):
        assert f"/{name}.json is ignored: it does not contain the row of a run" in caplog.text
    assert len(list(state.iterdir())) == len(rows) + 3
    assert not (tmp_path / "runs").exists()


def test_a_kept_row_takes_the_place_of_one_by_which_another_machine_believed_the_run_dead(
    tmp_path: Path, state: Path
) -> None:
    workspace, run = str(tmp_path / "workspace"), begin("prepare", {})
    keep_back(workspace, as_record(run, "completed", Counts(5, 0, 5, 0)))
    put_row(workspace, died(DeadRun(run, datetime.now(UTC), "host, process 1"), "score-2"))
    assert write_kept_back(workspace) == 1
    [row] = tables.read(workspace, "runs").to_pylist()
    assert (row["status"], row["done"], row["error"]) == ("completed", 5, None)


@pytest.mark.parametrize("mode", [0o777, 0o770, None])
def test_a_folder_beside_temporary_files_that_others_could_write_to_is_not_used(
    mode: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("skinml.records.kept_back.temporary_folder", lambda: tmp_path)
    beside, theirs = tmp_path / f"skinml-runs-{os.getuid()}", tmp_path / "theirs"
    theirs.mkdir()
    if mode is None:
        beside.symlink_to(theirs)
    else:
        beside.mkdir()
        beside.chmod(mode)
    row = as_record(begin("score", {}), "failed", Counts())
    text = json.dumps({"workspace": str(tmp_path), "row": row}, default=str)
    (beside / f"{row['run_id']}.json").write_text(text)
    assert write_kept_back(str(tmp_path)) == 0
    assert keep_back(str(tmp_path), row) is None


def test_where_the_home_takes_nothing_it_lies_beside_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    kept = keep_back("/w", as_record(begin("score", {}), "failed", Counts()))
    assert kept is not None
    assert kept.is_file()
    kept.unlink()


def test_a_dead_run_s_row_is_corrected_by_the_run_itself_if_it_lives(tmp_path: Path) -> None:
    workspace, run = str(tmp_path), begin("score", {})
    dead = died(DeadRun(run, datetime.now(UTC), "host, process 1"), "score-2")
    assert put_row(workspace, dead)
    assert not put_row(workspace, as_record(run, "completed", Counts())), "only who is told so corrects"
    assert put_row(workspace, as_record(run, "completed", Counts(1, 0, 1, 0)), corrected=True)
    [row] = tables.read(workspace, "runs").to_pylist()
    assert (row["status"], row["done"], row["error"]) == ("completed", 1, None)
