"""The states in which runs end on a real server, the names of runs, and what of lesions the UI gets."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from prefect import flow
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOW_DEFAULT_RETRIES,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from flows.engine import run as run_by_engine
from flows.score import score
from flows.server import Server
from skinml import tables
from skinml.errors import RequestError, StorageError
from skinml.records.runs import Run
from skinml.requests.scoring import ScoreRequest
from tasks import show
from tasks.ending import ends_as
from tasks.server_check import is_on_this_machine
from tasks.states import Ending
from tests.command import CommandLine
from tests.services.deployed import last_run

PATIENT = "s3://clinic/miller-anna/ISIC_0024306.jpg"
"""What no state and no name of a run may repeat."""


@pytest.fixture
def server(prefect_server: Server) -> Iterator[Server]:
    """The server, for flows in this process; a user's setting that repeats failed flows must not matter."""
    settings = {
        PREFECT_API_URL: prefect_server.url,
        PREFECT_LOGGING_TO_API_ENABLED: False,
        PREFECT_FLOW_DEFAULT_RETRIES: 2,
    }
    with temporary_settings(settings):
        yield prefect_server


def artifacts(server: Server, run: dict[str, Any]) -> dict[str, Any]:
    body = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    found = httpx.post(f"{server.url}/artifacts/filter", json=body, timeout=60).json()
    return {artifact["key"]: artifact["data"] for artifact in found}


def dark_images(folder: Path, jpeg: Callable[..., bytes], number: int) -> Path:
    folder.mkdir()
    for index in range(number):
        with Image.open(io.BytesIO(jpeg(index, 600, 450))) as image:
            image.point(lambda value: value // 8).save(folder / f"dark-{index}.jpg")
    return folder


@pytest.mark.usefixtures("shared_workers")
def test_a_drifted_night_is_red_committed_and_not_repeated(
    server: Server, trained: Path, tmp_path: Path, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    archive = dark_images(tmp_path / "miller-anna", jpeg, 60)
    answer = skinml("--workspace", workspace, "score", "--archive", archive)
    assert (answer.result["scored"], answer.result["health"]) == (60, "drifted")
    assert tables.read(workspace, "scores").num_rows == 60

    run = last_run(server, "score")
    assert (run["state_type"], run["state_name"], run["run_count"]) == ("FAILED", "Drifted", 1)
    assert re.fullmatch(r"score \d{4}-\d\d-\d\d: 60 scored, 0 unusable", run["name"])
    assert "do not trust this run's scores" in run["state"]["message"]
    assert run["state"]["message"].endswith("the 60 new rows are committed")
    assert not re.search(r"miller|dark-|://|/", run["name"] + run["state"]["message"])

    sheet = artifacts(server, run)["score-suspicious"]
    assert "have drifted: do not trust its scores" in sheet
    data = re.search(r"data:image/jpeg;base64,([^)]+)\)", sheet)
    assert data is not None
    picture = Image.open(io.BytesIO(base64.b64decode(data[1])))
    assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 100


@pytest.mark.usefixtures("shared_workers")
def test_a_night_of_broken_files_says_how_many_and_why_in_counts(
    server: Server, trained: Path, tmp_path: Path, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    (tmp_path / "archive").mkdir()
    for index in range(4):
        (tmp_path / "archive" / f"miller-anna-{index}.jpg").write_bytes(jpeg(index) if index < 2 else b"<html>")
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    answer = skinml("--workspace", workspace, "score", "--archive", tmp_path / "archive", expect=1)
    assert "quarantined.csv lists them" in answer.stderr  # the person who asked is told all
    run = last_run(server, "score")
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Quarantined")
    assert run["state"]["message"] == "50 % of 4 new images could not be used: 2 not_an_image"
    assert run["name"].endswith(": 50 % unusable")


@pytest.mark.parametrize(
    ("here", "asked_for", "shown"), [(True, False, 1), (False, True, 1), (False, False, 0)]
)
def test_lesions_are_shown_on_this_machine_and_elsewhere_only_if_asked_for(
    server: Server, scored: Path, monkeypatch: pytest.MonkeyPatch, here: bool, asked_for: bool, shown: int
) -> None:
    monkeypatch.setattr(show, "is_on_this_machine", lambda: here)
    row = tables.read(str(scored), "runs").to_pandas().set_index("flow").loc["score"]
    run = Run(row["run_id"], "score", row["started_at"], {})

    @flow(name="shows", retries=0)
    def shows() -> None:
        result = {"scored": 3, "health": "too_few", "backfill": False}
        show.show_suspicious(str(scored), result, run, everywhere=asked_for)

    shows()
    pictures = [data for data in artifacts(server, last_run(server, "shows")).values() if "data:image" in data]
    assert len(pictures) == shown


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:4200/api", True),
        ("http://127.9.9.9/api", True),
        ("http://[::1]:4200/api", True),
        ("http://localhost:4200/api", True),
        ("http://LOCALHOST:4200/api", True),
        ("http://localhost.example.org/api", False),
        ("http://0.0.0.0:4200/api", False),
        ("http://127.0.0.1@example.org/api", False),
        ("http://prefect:4200/api", False),
        ("http://10.0.0.3:4200/api", False),
        ("https://api.prefect.cloud/api/accounts/a/workspaces/b", False),
    ],
)
def test_only_loopback_is_this_machine(url: str, here: bool) -> None:
    with temporary_settings({PREFECT_API_URL: url}):
        assert is_on_this_machine() == here


@pytest.mark.parametrize("by_a_worker", [False, True])
def test_a_state_of_trouble_has_its_result_all_the_same(server: Server, by_a_worker: bool) -> None:
    @flow(name="in trouble", retries=0, validate_parameters=False)
    @ends_as(lambda result: Ending("Drifted", f"{result['scored']} rows", "3 scored", trouble=True))
    def in_trouble(workspace: str, request: ScoreRequest) -> dict[str, Any]:
        return {"scored": request.limit}

    request = ScoreRequest(archive="a", limit=3)
    call = in_trouble if by_a_worker else partial(run_by_engine, in_trouble)
    assert call(workspace="w", request=request) == {"scored": 3}
    run = last_run(server, "in trouble")
    assert (run["state_type"], run["state_name"], run["state"]["message"]) == ("FAILED", "Drifted", "3 rows")
    assert run["name"].endswith(": 3 scored")


@pytest.mark.parametrize("by_a_worker", [False, True])
@pytest.mark.parametrize("kind", [StorageError, RequestError, ValueError])
def test_what_an_error_says_is_in_no_state(server: Server, by_a_worker: bool, kind: type[Exception]) -> None:
    @flow(name="fails", retries=0, validate_parameters=False)
    @ends_as(lambda result: Ending("Completed", ""))
    def fails(workspace: str, request: ScoreRequest) -> dict[str, Any]:
        raise kind(f"{PATIENT} cannot be read")

    call = partial(fails if by_a_worker else partial(run_by_engine, fails), workspace="w")
    with pytest.raises(kind, match="cannot be read"):
        call(request=ScoreRequest(archive="a"))
    run = last_run(server, "fails")
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Failed")
    assert run["state"]["message"].endswith(": see the log")
    assert not re.search("s3|clinic|miller|ISIC", str(run["state"]) + run["name"])


def test_a_wrong_request_of_a_deployment_is_refused_without_its_values(server: Server) -> None:
    wrong: Any = {"archive": PATIENT, "since": "2026-11-02", "until": "2026-11-01"}
    with pytest.raises(RequestError, match="2026-11-02T00:00:00Z is not before --until"):
        score("w", wrong)
    run = last_run(server, "score")
    assert run["state"]["message"] == "the request was refused: see the log"
    assert not re.search("s3|clinic|miller|ISIC", run["name"])


@pytest.mark.usefixtures("shared_workers")
def test_the_archives_size_does_not_change_the_number_of_task_runs(
    server: Server,
    trained: Path,
    tmp_path: Path,
    jpeg: Callable[..., bytes],
    skinml: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """80 images, 8 at a time, are ten shards; 3 images are one."""
    monkeypatch.setattr("tasks.scores.images_per_shard", lambda *_: 8)
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    counts = []
    for number in (3, 80):
        archive = tmp_path / f"of {number}"
        archive.mkdir()
        for index in range(number):
            (archive / f"{index}.jpg").write_bytes(jpeg(index % 20))
        answer = skinml("--workspace", workspace, "score", "--archive", archive)
        assert answer.result["listed"] == number
        body = {"flow_runs": {"id": {"any_": [last_run(server, "score")["id"]]}}}
        counts.append(httpx.post(f"{server.url}/task_runs/count", json=body, timeout=60).json())
    assert counts[0] == counts[1] < 20
