"""A real Prefect server: the same tables with it and without it, and what it shows of a run."""

from __future__ import annotations

import os
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
from prefect.concurrency.v1.asyncio import ConcurrencySlotAcquisitionError
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows.engine import run as run_by_engine
from flows.server import Server, free_port
from flows.server import prefect_server as start_prefect_server
from skinml import tables
from skinml.errors import RequestError, RunError, StorageError
from tasks import stage as stages
from tests.conftest import MadeUp
from tests.services.processes import skinml_process

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

    runs = {run["name"]: run for run in ask(prefect_server, "flow_runs")}
    run = runs["score archive night with champion"]
    assert run["state_type"] == "COMPLETED"
    assert "skinml" in run["tags"]
    assert "prepare HAM10000_images_part_1, HAM10000_images_part_2 at 64 px" in runs
    task_names = {
        task["name"] for task in ask(prefect_server, "task_runs", flow_runs={"id": {"any_": [run["id"]]}})
    }
    assert {"open workspace " + str(tmp_path / "scored with"), "commit the scores"} <= task_names
    assert len(task_names) < 20  # stages, never images

    artifacts = {
        artifact["key"]: artifact
        for artifact in ask(prefect_server, "artifacts", flow_runs={"id": {"any_": [run["id"]]}})
    }
    assert float(artifacts["score-progress"]["data"]) == 100.0
    assert '"scored": 14' in artifacts["score-counts"]["data"]
    assert "not a medical device" in artifacts["score-counts"]["description"]
    assert str(tmp_path / "scored with" / "scores") in artifacts["score-links"]["data"]

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
    assert "the Prefect server http://127.0.0.1:9/api does not answer: running without it" in said


def test_a_server_that_dies_on_the_way_stops_no_night(
    trained: Path, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for number in range(8):
        (archive / f"{number}.jpg").write_bytes(jpeg(number))
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    command = [sys.executable, "-P", "-m", "flows.cli", "--workspace", str(workspace)]
    command += ["score", "--archive", str(archive)]
    with start_prefect_server(tmp_path / "prefect", free_port()) as server:
        server.wait_until_ready()
        environment = {**os.environ, "PREFECT_API_URL": server.url, "PREFECT_CLIENT_MAX_RETRIES": "0"}
        with subprocess.Popen(
            command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
        ) as night:
            assert night.stderr is not None
            said = []
            for line in night.stderr:
                said.append(line)
                if "8 images listed" in line and server.process.poll() is None:
                    server.process.kill()
                    server.process.wait()
    assert night.returncode == 0, "".join(said)
    assert any(f"the Prefect server {server.url} stopped answering" in line for line in said)
    scores = tables.read(str(workspace), "scores").to_pandas()
    assert (len(scores), scores["uri"].nunique()) == (8, 8)


@pytest.mark.parametrize("with_server", [True, False])
def test_storage_is_tried_again_and_a_wrong_request_is_not(
    with_server: bool, prefect_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "RETRY_DELAYS", (0.0, 0.0, 0.0))
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


@pytest.mark.parametrize(("broken", "goes_on"), [("server", True), ("answer", True), ("night", False)])
def test_only_what_is_wrong_with_the_server_is_gone_on_without(
    broken: str, goes_on: bool, prefect_server: Server
) -> None:
    """A server may fail and be back at once: it has the run as failed, and the night must go on."""
    calls: list[bool] = []

    @flow(name="fails on the server")
    def fails_on_the_server() -> dict[str, Any]:
        calls.append(FlowRunContext.get() is not None)
        if not calls[-1]:
            return {"scored": 1}
        try:
            if broken == "answer":
                httpx.get(f"{prefect_server.url}/there/is/no/such/thing").raise_for_status()
            httpx.get("http://127.0.0.1:9")
        except httpx.HTTPError as error:
            if broken == "night":
                raise RunError("the night itself") from error
            raise ConcurrencySlotAcquisitionError("Unable to acquire concurrency slots") from error
        return {}

    settings = {PREFECT_API_URL: prefect_server.url, PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings):
        if goes_on:
            assert run_by_engine(fails_on_the_server) == {"scored": 1}
        else:
            with pytest.raises(RunError, match="the night itself"):
                run_by_engine(fails_on_the_server)
    assert calls == ([True, False] if goes_on else [True])
