"""A real Prefect server: the same tables with it and without it, and what it shows of a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows.server import Server
from skinml import tables
from skinml.errors import RequestError, StorageError
from tasks import stage as stages
from tests.conftest import MadeUp
from tests.services.processes import skinml_process, wait_for

OF_THE_RUN = ["run_id", "run_date", "scored_at", "prepared_at", "quarantined_at", "started_at", "finished_at"]
OF_THE_CLOCK = ["seconds", "images_per_second"]


def content(workspace: Path, table: str) -> pd.DataFrame:
    """A table without what differs from run to run."""
    rows = tables.read(str(workspace), table).to_pandas()
    kept = rows.drop(columns=[*OF_THE_RUN, *OF_THE_CLOCK], errors="ignore")
    ordered: pd.DataFrame = kept.sort_values(list(kept.columns), ignore_index=True)
    return ordered


def ask(server: Server, what: str, **body: Any) -> list[dict[str, Any]]:
    """Read from the server's API, without our code or Prefect's client."""
    answer = httpx.post(f"{server.url}/{what}/filter", json=body)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


def test_with_a_server_and_without_the_same_tables(
    prefect_server: Server, trained: Path, made_up: MadeUp, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    archive = tmp_path / "archive night"
    archive.mkdir()
    for number in range(16):
        (archive / f"{number:02}.jpg").write_bytes(jpeg(number) if number % 8 else b"<html>")
    said = {}
    for name, environment in {"without": {}, "with": {"PREFECT_API_URL": prefect_server.url}}.items():
        prepared = tmp_path / f"prepared {name}"
        skinml_process(
            "--workspace", prepared, "prepare", *made_up.flags(), environment=environment, cwd=tmp_path
        )
        scored = shutil.copytree(trained, tmp_path / f"scored {name}")
        arguments = ["--workspace", scored, "score", "--archive", archive]
        result, said[name] = skinml_process(*arguments, environment=environment, cwd=tmp_path)
        assert (result["scored"], result["quarantined"]) == (14, 2)
    for place, table in [
        ("prepared", "samples"),
        ("prepared", "runs"),
        ("scored", "scores"),
        ("scored", "quarantine"),
    ]:
        without, with_server = (content(tmp_path / f"{place} {name}", table) for name in said)
        if table == "runs":  # which were asked for in other words: the path of the workspace is not among them
            without, with_server = (rows.drop(columns=["versions"]) for rows in (without, with_server))
        pd.testing.assert_frame_equal(without, with_server)
        assert len(without)
    assert "no Prefect server configured" in said["without"]

    runs = {re.sub(r"\d{4}-\d\d-\d\d", "DATE", run["name"]): run for run in ask(prefect_server, "flow_runs")}
    run = runs["score DATE: 14 scored, 2 unusable"]
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Usual")
    assert "skinml" in run["tags"]
    assert "prepare DATE 32 px: 140 prepared, 0 unusable" in runs
    task_names = {
        task["name"] for task in ask(prefect_server, "task_runs", flow_runs={"id": {"any_": [run["id"]]}})
    }
    assert {"open workspace " + str(tmp_path / "scored with"), "commit the scores"} <= task_names
    assert len(task_names) < 20  # stages, never images: tests/services/test_states.py counts them

    artifacts = {
        artifact["key"]: artifact
        for artifact in ask(prefect_server, "artifacts", flow_runs={"id": {"any_": [run["id"]]}})
    }
    assert float(artifacts["score-progress"]["data"]) == 100.0
    assert {"images": "scored", "number": 14} in json.loads(artifacts["score-counts"]["data"])
    assert json.loads(artifacts["score-reasons"]["data"]) == [{"reason": "not_an_image", "images": 2}]
    assert "not a medical device" in artifacts["score-counts"]["description"]
    assert str(tmp_path / "scored with" / "scores") in artifacts["score-places"]["data"]

    logs = ask(prefect_server, "logs", logs={"flow_run_id": {"any_": [run["id"]]}})
    assert any("16 images listed" in line["message"] for line in logs)


def test_a_dead_server_stops_no_night(trained: Path, tmp_path: Path, jpeg: Callable[..., bytes]) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "a.jpg").write_bytes(jpeg())
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    arguments = ["--workspace", workspace, "score", "--archive", tmp_path / "archive"]
    dead = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    result, said = skinml_process(*arguments, environment=dead, cwd=tmp_path)
    assert result["scored"] == 1
    assert "running without Prefect: http://127.0.0.1:9/api does not answer (ConnectionRefusedError" in said


@pytest.mark.parametrize("with_server", [True, False])
def test_storage_is_tried_again_and_a_wrong_request_is_not(
    with_server: bool,
    prefect_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(stages, "RETRY_DELAYS", (0.0, 0.01, 0.0))
    tries: list[str] = []

    @stages.stage("fails twice")
    def fails_twice() -> int:
        tries.append("storage")
        if len(tries) < 3:
            raise StorageError("the bucket did not answer")
        return len(tries)

    @stages.stage("is wrong")
    def is_wrong() -> None:
        tries.append("request")
        raise RequestError("no such bucket")

    @flow(name="two stages")
    def two_stages() -> int:
        answer = fails_twice()
        is_wrong()
        return answer

    # Without its log thread, which would outlive the server and complain at the very end of the session.
    settings = {PREFECT_API_URL: prefect_server.url, PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings), pytest.raises(RequestError):
        (two_stages if with_server else two_stages.fn)()
    assert tries == ["storage"] * 3 + ["request"]
    if not with_server:  # Prefect says it in its own words
        assert [record.getMessage() for record in caplog.records if record.name == "skinml.stage"] == [
            "stage 'fails twice' failed: the bucket did not answer; attempt 2 of 4 in 0 s",
            "stage 'fails twice' failed: the bucket did not answer; attempt 3 of 4 in 0.01 s",
        ]


@pytest.mark.parametrize("with_server", [True, False])
def test_a_stage_whose_parts_are_retried_is_not_begun_again(with_server: bool, prefect_server: Server) -> None:
    tries: list[str] = []

    @stages.stage("shards", retried=False)
    def shards() -> None:
        tries.append("shards")
        raise StorageError("the bucket did not answer")

    @flow(name="one stage")
    def one_stage() -> None:
        shards()

    settings = {PREFECT_API_URL: prefect_server.url, PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings), pytest.raises(StorageError):
        (one_stage if with_server else one_stage.fn)()
    assert tries == ["shards"]


def test_a_signal_ends_a_flow_run_with_its_exit_code_and_a_row(
    prefect_server: Server, trained: Path, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    """Prefect has a handler of its own, which makes another error of SIGTERM."""
    (tmp_path / "archive").mkdir()
    for number in range(80):
        (tmp_path / "archive" / f"{number}.jpg").write_bytes(jpeg(number))
    workspace, log = shutil.copytree(trained, tmp_path / "workspace"), tmp_path / "log"
    command = [sys.executable, "-P", "-m", "skinml", "--workspace", str(workspace)]
    command += ["score", "--archive", str(tmp_path / "archive"), "--workers", "1"]
    with log.open("wb") as errors:
        night = subprocess.Popen(
            command, env={**os.environ, "PREFECT_API_URL": prefect_server.url}, cwd=tmp_path, stderr=errors
        )
    wait_for(lambda: any(workspace.glob("scores/**/*.parquet")), 120, "the first part")
    night.terminate()
    assert night.wait(60) == 143, log.read_text()
    assert log.read_text().splitlines()[-1] == "skinml: ended by SIGTERM"
    assert "Traceback" not in log.read_text()
    rows = tables.read(str(workspace), "runs").to_pandas()
    assert rows[rows["flow"] == "score"]["error"].tolist() == ["ended by SIGTERM"]
