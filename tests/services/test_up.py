"""`skinml up` as a person uses it: one session with credentials, from its start to its stop."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from deployments.up.processes import below
from skinml.process.identity import LABEL
from tests.command import CommandLine
from tests.services.processes import skinml_process, wait_for
from tests.services.receivers import Received, webhook
from tests.services.running_up import Up, running


@pytest.mark.timeout(600)  # starts server, deployments and worker
def test_up_serves_one_user_of_this_machine_until_it_is_stopped(
    scored: Path, tmp_path: Path, jpeg: Callable[..., bytes], skinml: CommandLine
) -> None:
    archive, home = tmp_path / "archive", tmp_path / "home"
    archive.mkdir()
    (archive / "one.jpg").write_bytes(jpeg(1))
    flags = ("--archive", archive, "--timezone", "Europe/Vienna", "--auth", "--min-new", 7)
    with webhook(404) as hook, running(home, scored, *flags, environment={"SKINML_NOTIFY": hook.url}) as up:
        _says_where_it_is_and_what_is_scheduled(up)
        _lets_in_who_has_the_credentials_and_nobody_else(up)
        _tells_and_retrains_as_it_was_asked(up, hook)
        _keeps_its_secrets(up)

        again = skinml("--workspace", scored, "up", "--home", home)
        assert (again.result["already_running"], again.result["pid"]) == (True, up.process.pid)
        assert f"already running, PID {up.process.pid}, UI at {up.ui}" in again.stderr
        other = tmp_path / "other"
        (other / "runs").mkdir(parents=True)
        refused = skinml("--workspace", other, "up", "--home", home, expect=2)
        assert "already serves workspace" in refused.stderr

        # A verb of this user runs on it, with the credentials, and labels its run with its process.
        compact = ("--workspace", scored, "compact", "--dry-run")
        result, said = skinml_process(*compact, environment={"SKINML_HOME": str(home)}, cwd=tmp_path)
        assert f"on the server of skinml up (PID {up.process.pid}): {up.ui}" in said
        [run] = up.post("/flow_runs/filter", flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}})
        assert run["labels"][f"{LABEL}.pid"] > 0
        assert result["dry_run"] is True

        assert up.stop(signal.SIGTERM) == 0
        assert json.loads(up.said.splitlines()[-1])["stopped_by"] == "SIGTERM"
    assert below(home) == []
    assert not (home / "up.json").exists()


def _says_where_it_is_and_what_is_scheduled(up: Up) -> None:
    assert f"UI: {up.ui}" in up.said
    [nightly] = [line for line in up.said.splitlines() if "score-nightly  " in line]
    assert nightly.count(" 02:00") == 3
    assert nightly.endswith("(Europe/Vienna)")
    assert "prepare is not deployed: it needs --images and --metadata" in up.said
    for pool in ("skinml", "retrain"):
        wait_for(lambda: bool(up.post(f"/work_pools/{pool}/workers/filter")), 120, f"its worker of {pool}")  # noqa: B023


def _lets_in_who_has_the_credentials_and_nobody_else(up: Up) -> None:
    """Nobody from another machine, and no script of a website in a browser of this one."""
    assert up.auth is not None
    assert stat.S_IMODE((up.home / "auth").stat().st_mode) == 0o600
    for wrong in (None, ("skinml", "guess")):
        assert httpx.post(f"{up.url}/flow_runs/filter", json={}, auth=wrong).status_code == 401
    assert httpx.get(f"{up.ui}/ui-settings").json()["auth"] == "BASIC"
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"{up.url}/flow_runs/filter", headers=asked, auth=up.auth)
    assert answer.headers.get("access-control-allow-origin") is None
    listening = {
        connection.laddr.ip
        for one in (psutil.Process(up.process.pid), *up.children())
        for connection in one.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def _keeps_its_secrets(up: Up) -> None:
    """In no argument, and in no log or other file but its own. Prefect encrypts the receiver."""
    assert up.auth is not None
    everything = [psutil.Process(up.process.pid), *up.children()]
    files = [file for file in up.home.rglob("*") if file.is_file() and file.name != "auth"]
    for secret in (up.auth[1], "a-secret-token"):
        assert not any(secret in argument for one in everything for argument in one.cmdline())
        assert not [file for file in files if secret.encode() in file.read_bytes()]
        assert secret not in up.said


def _tells_and_retrains_as_it_was_asked(up: Up, hook: Received) -> None:
    """The receiver refuses the message, and Prefect logs its address."""
    names = {one["name"] for one in up.post("/automations/filter")}
    assert "skinml: retrain when enough lesions were labelled" in names
    [last] = [run["id"] for run in up.runs_of("score-nightly")][-1:]
    up.post(f"/flow_runs/{last}/set_state", state={"type": "FAILED"}, force=True)
    wait_for(lambda: bool(hook.about(last)), 120, "the message")
    log = up.home / "logs" / "server.log"
    wait_for(lambda: "404 Not Found" in log.read_text(encoding="utf-8"), 60, "the refusal in the server's log")
    [retrain] = up.post("/deployments/filter", deployments={"name": {"any_": ["retrain"]}})
    assert retrain["parameters"]["request"]["min_new"] == "7"
