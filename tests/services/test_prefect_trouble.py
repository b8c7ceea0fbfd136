"""Prefect never stops a run: foreign answers, dead servers, servers that become something else in mid-run."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from flows.engine import run as run_by_engine
from flows.server import Server, free_port
from flows.server import prefect_server as start_prefect_server
from skinml import tables
from skinml.errors import RunError
from tasks.artifacts import show_places
from tasks.server_check import MAX_SECONDS, server_address, why_unusable
from tasks.stage import stage
from tests.services import answers
from tests.services.processes import skinml_process, wait_for

ONE_LINE = "running without Prefect: "
GOING_ON = "continuing without it"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answers.login_page, "is not a Prefect server (it answers 200 OK, text/html)"),
        (answers.empty, "is not a Prefect server (it answers 200 OK, no content type)"),
        (answers.hang_up, "does not answer (RemoteProtocolError: Server disconnected"),
        (
            answers.redirect_to_login,
            "is not a Prefect server (it answers 200 OK, text/html from http://127.0.0.1:",
        ),
        (answers.other_json, "is not a Prefect server (it answers 200 OK, application/json)"),
        (answers.prefect_2, "cannot be used: Found incompatible versions: client: 3."),
        (answers.wants_keys, "requires authorisation (401 Unauthorized): set PREFECT_API_AUTH_STRING or"),
    ],
)
def test_what_is_no_prefect_server_is_named(answer: answers.Answer, said: str) -> None:
    with answers.answering(answer) as url, temporary_settings({PREFECT_API_URL: url}):
        assert said in str(why_unusable())


def test_no_secret_of_the_address_is_shown() -> None:
    with temporary_settings({PREFECT_API_URL: "http://me:sesame@127.0.0.1:1/api?token=sesame"}):
        said = f"{server_address()} {why_unusable()}"
    assert said.startswith("http://127.0.0.1:1/api?token=*** does not answer")
    assert "sesame" not in said


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_silence_is_not_waited_for(scheme: str) -> None:
    with answers.silent() as place, temporary_settings({PREFECT_API_URL: f"{scheme}://{place}"}):
        begun = time.monotonic()
        assert "does not answer (" in str(why_unusable())
        assert time.monotonic() - begun < MAX_SECONDS + 2


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/api", "/api"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with temporary_settings({PREFECT_API_URL: url}):
        assert "is not the address of a server (UnsupportedProtocol: " in str(why_unusable())


def test_a_tls_port_that_speaks_plainly_is_named() -> None:
    with (
        answers.answering(answers.login_page) as url,
        temporary_settings({PREFECT_API_URL: url.replace("http:", "https:")}),
    ):
        assert f"does not answer ({ssl.SSLError.__name__}" in str(why_unusable())


@pytest.mark.parametrize(
    ("setting", "header"),
    [
        (PREFECT_API_AUTH_STRING, f"Basic {base64.b64encode(b'me:secret').decode()}"),
        (PREFECT_API_KEY, "Bearer me:secret"),
    ],
)
def test_keys_of_the_user_are_sent(setting: Any, header: str) -> None:
    def asks_for_keys(request: Any, body: bytes) -> None:
        known = request.headers.get("authorization") == header
        (answers.looks_well if known else answers.wants_keys)(request, body)

    with answers.answering(asks_for_keys) as url:
        with temporary_settings({PREFECT_API_URL: url}):
            assert "requires authorisation" in str(why_unusable())
        with temporary_settings({PREFECT_API_URL: url, setting: "me:secret"}):
            assert why_unusable() is None


@pytest.mark.parametrize(
    "answer", [pytest.param(answers.login_page, marks=pytest.mark.drill), answers.looks_well]
)
def test_a_night_is_scored_whatever_answers(
    answer: answers.Answer, trained: Path, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "a.jpg").write_bytes(jpeg())
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    arguments = ["--workspace", workspace, "score", "--archive", tmp_path / "archive"]
    with answers.answering(answer) as url:
        result, said = skinml_process(*arguments, environment={"PREFECT_API_URL": url}, cwd=tmp_path)
    assert result["scored"] == 1
    assert said.count(ONE_LINE) + said.count(GOING_ON) == 1
    assert "Traceback" not in said


def run_and_break(
    arguments: list[object], sign: str, break_it: Callable[[], None], url: str, cwd: Path
) -> tuple[dict[str, Any], list[str], float]:
    """Run a verb, and break its server once a line of its log holds `sign`: result, lines, seconds since."""
    command = [sys.executable, "-P", "-m", "skinml", "--json", *map(str, arguments)]
    environment = {**os.environ, "PREFECT_API_URL": url}
    broken = None
    said = []
    with subprocess.Popen(
        command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            said.append(line)
            if sign in line and broken is None:
                break_it()
                broken = time.monotonic()
        output = process.stdout.read()
    assert process.returncode == 0, "".join(said)
    assert broken is not None, "".join(said)
    assert sum(GOING_ON in line for line in said) == 1, "".join(said)
    assert not any("Traceback" in line for line in said), "".join(said)
    return json.loads(output.splitlines()[-1]), said, time.monotonic() - broken


def kill(server: Server) -> None:
    server.process.kill()
    server.process.wait()


InTrouble = Callable[..., tuple[dict[str, Any], list[str], float]]


@pytest.fixture
def in_trouble(tmp_path: Path) -> InTrouble:
    """Run a verb on a server that is killed once a line of the verb's log holds `sign`."""

    def run(*verb: object, sign: str) -> tuple[dict[str, Any], list[str], float]:
        with start_prefect_server(tmp_path / "prefect", free_port()) as server:
            server.wait_until_ready()
            httpx.get(f"{server.url}/admin/version", timeout=60)  # its first answers are slow on a busy machine
            return run_and_break(list(verb), sign, lambda: kill(server), server.url, tmp_path)

    return run


def test_a_server_that_dies_in_a_score_takes_no_finished_work_along(
    in_trouble: InTrouble, trained: Path, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for number in range(8):
        (archive / f"{number}.jpg").write_bytes(jpeg(number))
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    in_trouble("--workspace", workspace, "score", "--archive", archive, sign="8 images listed")
    scores = tables.read(str(workspace), "scores").to_pandas()
    assert (len(scores), scores["uri"].nunique()) == (8, 8)


@pytest.mark.drill  # a server, and a client that gives up
def test_a_server_that_dies_after_an_export_costs_no_second_one(
    in_trouble: InTrouble, night: Path, tmp_path: Path
) -> None:
    file = tmp_path / "scores.csv"
    [scored] = [row for row in tables.read(str(night), "runs").to_pylist() if row["flow"] == "score"]
    asked = ("--workspace", night, "export", "--run", scored["run_id"], "--out", file)
    _, said, seconds = in_trouble(*asked, sign="wrote 3 rows to")
    assert len(file.read_text(encoding="utf-8").splitlines()) >= 4
    assert sum("wrote 3 rows to" in line for line in said) == 1
    # 6 s on an idle machine, for a client that gives up and its queues; 100 s with Prefect's own
    assert seconds < 60


@pytest.mark.drill  # a server and a fit
def test_a_server_that_dies_in_a_fit_costs_no_second_one(
    in_trouble: InTrouble, trained: Path, tmp_path: Path
) -> None:
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    _, said, _ = in_trouble("--workspace", workspace, "train", "--epochs", "2", sign="epoch 1 of 2")
    epochs = [line for line in said if ": epoch " in line]
    assert len(epochs) == 2, epochs


@pytest.mark.parametrize(
    "answer",
    [
        answers.login_page,
        pytest.param(answers.other_json, marks=pytest.mark.drill),
        pytest.param(answers.hang_up, marks=pytest.mark.drill),
    ],
)
def test_a_server_that_turns_into_something_else_on_the_way(
    answer: answers.Answer,
    prefect_server: Server,
    trained: Path,
    tmp_path: Path,
    jpeg: Callable[..., bytes],
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(jpeg())
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    arguments: list[object] = ["--workspace", workspace, "score", "--archive", archive]
    with answers.Switchable(prefect_server.url) as proxy:

        def turn() -> None:
            proxy.instead = answer

        result, said, _ = run_and_break(arguments, "1 images listed", turn, proxy.url, tmp_path)
    assert result["scored"] == 1
    assert sum("1 images listed" in line for line in said) == 1


def test_a_server_that_fails_once_has_the_run_as_completed(prefect_server: Server) -> None:
    """It is back at once: the run goes on without it, and it is told how the run ended."""
    calls: list[str] = []
    with answers.Switchable(prefect_server.url) as proxy:

        @stage("first")
        def first() -> None:
            calls.append("first")

        @stage("second")
        def second() -> None:
            calls.append("second")
            show_places("a-place", "Where it is", {"here": "there"})
            proxy.instead = None

        @flow(name="fails once")
        def fails_once() -> dict[str, Any]:
            first()
            proxy.instead, proxy.only = answers.login_page, "artifacts"
            second()
            return {"scored": 1}

        with temporary_settings({PREFECT_API_URL: proxy.url, PREFECT_LOGGING_TO_API_ENABLED: False}):
            assert run_by_engine(fails_once) == {"scored": 1}
    assert calls == ["first", "second"]
    query = {"flows": {"name": {"any_": ["fails once"]}}}
    [run] = httpx.post(f"{prefect_server.url}/flow_runs/filter", json=query).json()
    assert run["state_type"] == "COMPLETED"


def test_a_run_on_another_server_than_the_last_one_of_this_process(
    prefect_server: Server, tmp_path: Path
) -> None:
    """As in a notebook, when `skinml up` is back on another port: nothing is sent to the old one."""

    @stage("a stage")
    def a_stage() -> None:
        pass

    @flow(name="moves")
    def moves() -> dict[str, Any]:
        a_stage()
        return {"scored": 1}

    def run_on(url: str) -> None:
        with temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_TO_API_ENABLED: False}):
            assert run_by_engine(moves) == {"scored": 1}

    def names() -> list[str]:
        query = {"flows": {"name": {"any_": ["moves"]}}}
        runs = httpx.post(f"{prefect_server.url}/task_runs/filter", json=query, timeout=60).json()
        return [run["name"] for run in runs]

    with start_prefect_server(tmp_path / "prefect", free_port()) as first:
        first.wait_until_ready()
        run_on(first.url)
    run_on(prefect_server.url)
    wait_for(lambda: names() == ["a stage"], 60, "the task run, which is told of by an event")


NAP = """
import sys, time
from prefect import flow
from flows.engine import run
from skinml.process import interrupts

@flow
def nap():
    print("under way", flush=True)
    time.sleep(60)

try:
    with interrupts.raised():
        run(nap)
except interrupts.Interrupted as error:
    sys.exit(error.exit_code)
"""


def test_sigterm_ends_a_run_on_a_server_as_it_ends_one_without(prefect_server: Server) -> None:
    """Prefect has a handler of its own during the run, and another exception."""
    environment = {**os.environ, "PREFECT_API_URL": prefect_server.url}
    with subprocess.Popen([sys.executable, "-c", NAP], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"under way\n"
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM


def test_what_is_wrong_with_the_run_itself_stays_wrong(prefect_server: Server) -> None:
    """Also if the error came of a connection, and if the server is gone when Prefect reports it."""
    calls: list[str] = []
    with answers.Switchable(prefect_server.url) as proxy:

        @flow(name="fails itself")
        def fails_itself() -> dict[str, Any]:
            calls.append("called")
            proxy.instead = answers.hang_up
            try:
                httpx.get("http://127.0.0.1:9")
            except httpx.HTTPError as error:
                raise RunError("the night itself") from error
            return {}

        settings = {PREFECT_API_URL: proxy.url, PREFECT_LOGGING_TO_API_ENABLED: False}
        with temporary_settings(settings), pytest.raises(RunError, match="the night itself"):
            run_by_engine(fails_itself)
    assert calls == ["called"]
