"""Tests of skinml/checkup/status.py on real tables, on a folder and on a bucket."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skinml import tables
from skinml.checkup.status import Status, read_status
from skinml.errors import RequestError
from skinml.records.runs import Counts, as_record, as_table, begin
from skinml.storage.objects import names
from tests.services.receivers import webhook

DAY = timedelta(hours=26)


def read(workspace: str, ahead: timedelta = timedelta(0), **more: object) -> Status:
    return read_status(workspace, datetime.now(UTC) + ahead, DAY, DAY, **more)  # type: ignore[arg-type]


def kinds(status: Status) -> list[str]:
    return [problem.kind for problem in status.problems]


def add_night(
    workspace: str, status: str = "completed", archive: str = "/archive", health: str = "usual"
) -> str:
    run = begin("score", {"archive": archive, "model": "champion"})
    row = as_record(run, status, Counts(10, 0, 10, 0), health=health, error="RunError: no")
    tables.append(workspace, "runs", as_table(row), run.run_id)
    return run.run_id


def test_a_good_night_is_healthy_for_26_hours(workspace: str) -> None:
    assert kinds(read(workspace)) == ["never"]
    add_night(workspace)
    before = names(workspace)
    found = read(workspace)
    assert found.problems == ()
    assert found.last_completed is not None
    assert datetime.now(UTC) - found.last_completed < timedelta(minutes=5)
    assert found.champion is not None
    assert kinds(read(workspace, timedelta(hours=27))) == ["late"]
    assert names(workspace) == before  # nothing is written
    add_night(workspace, health="drifted")
    assert kinds(read(workspace)) == ["drifted"]
    assert kinds(read(workspace, timedelta(hours=-48))) == ["future", "never"]


def test_only_the_watched_archive_counts(night: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    add_night(str(night), archive=f"{archive}/")
    assert kinds(read(str(night), archive=str(archive))) == []
    assert kinds(read(str(night), archive="/another")) == ["never"]


def test_nights_that_failed_since_are_a_note(night: Path) -> None:
    failed = add_night(str(night), status="failed")
    found = read(str(night))
    assert found.problems == ()
    assert failed in found.notes[0]


def test_a_table_that_cannot_be_read_is_a_problem_and_the_rest_is_still_read(night: Path) -> None:
    shutil.rmtree(night / "runs" / "_delta_log")
    (night / "runs" / "_delta_log").mkdir()
    (night / "runs" / "_delta_log" / "00000000000000000000.json").write_text("{")
    found = read(str(night))
    assert kinds(found) == ["table"]
    assert found.champion is not None


def test_what_never_was_a_workspace_is_a_wrong_request_and_one_that_is_gone_a_problem(place: str) -> None:
    with pytest.raises(RequestError, match="nothing has run there yet"):
        read(f"{place}/nothing")
    assert kinds(read(f"{place}/nothing", was_there=True)) == ["missing"]


def test_a_folder_that_may_not_be_read_is_a_problem(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied", str(night))

    monkeypatch.setattr(Path, "iterdir", refused)
    assert kinds(read(str(night))) == ["storage"]


def test_credentials_that_were_revoked_are_a_problem(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong" * 8)
    found = read(f"{bucket}/workspace")
    assert kinds(found) == ["storage"]
    assert "access refused" in found.problems[0].detail


def test_another_server_in_the_place_of_the_bucket_is_a_problem_if_it_was_there(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook(404) as received:  # it answers what no S3 server does
        monkeypatch.setenv("AWS_ENDPOINT_URL", received.url.rpartition("/hook")[0])
        with pytest.raises(RequestError, match="not an S3 server"):
            read(f"{bucket}/workspace")
        assert kinds(read(f"{bucket}/workspace", was_there=True)) == ["storage"]


def test_a_bucket_that_does_not_answer_is_a_problem(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert kinds(read(f"{bucket}/workspace")) == ["storage"]


def test_a_run_that_died_is_found(night: Path, put: Callable[[str, bytes], None]) -> None:
    put(f"{night}/under_way/rubbish.json", b"{")
    assert kinds(read(str(night))) == []
