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
from tests.services.processes import skinml_process, wait_for
from tests.services.running_up import refused, running


@pytest.mark.timeout(600)  # starts server, deployments and worker
def test_up_serves_one_user_of_this_machine_until_it_is_stopped(
    scored: Path, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    archive, home = tmp_path / "archive", tmp_path / "home"
    archive.mkdir()
    (archive / "one.jpg").write_bytes(jpeg(1))
    flags = ("--archive", archive, "--timezone", "Europe/Vienna", "--auth", "--gpu-worker")
    with running(home, scored, *flags) as up:
        # It says where it is and what is scheduled.
        ui = up.url.removesuffix("/api")
        assert f"UI: {ui}" in up.said
        [nightly] = [line for line in up.said.splitlines() if "score-nightly  " in line]
        assert nightly.count(" 02:00") == 3
        assert nightly.endswith("(Europe/Vienna)")
        assert "prepare is not deployed: it needs --images and --metadata" in up.said

        # Only who has the credentials gets in, and only from this machine; a website's script does not.
        assert up.auth is not None
        assert stat.S_IMODE((home / "auth").stat().st_mode) == 0o600
        for wrong in (None, ("skinml", "guess")):
            assert httpx.post(f"{up.url}/flow_runs/filter", json={}, auth=wrong).status_code == 401
        assert httpx.get(f"{ui}/ui-settings").json()["auth"] == "BASIC"
        asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        answer = httpx.options(f"{up.url}/flow_runs/filter", headers=asked, auth=up.auth)
        assert "evil" not in answer.headers.get("access-control-allow-origin", "")
        assert answer.headers.get("access-control-allow-origin") != "*"
        children = [psutil.Process(up.process.pid), *up.children()]
        listening = {
            connection.laddr.ip
            for one in children
            for connection in one.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}

        # Everything is there: two pools, each with a worker, and the deployments.
        pools = ("skinml", "gpu")
        wait_for(
            lambda: all(up.post(f"/work_pools/{pool}/workers/filter") for pool in pools), 120, "two workers"
        )

        # The secret is in no argument, log or file but its own.
        secret = up.auth[1]
        assert not any(secret in argument for one in children for argument in one.cmdline())
        files = [file for file in home.rglob("*") if file.is_file() and file.name != "auth"]
        assert not [file for file in files if secret.encode() in file.read_bytes()]
        assert secret not in up.said

        # A second one says that it runs already; for another workspace it is refused.
        code, said = refused(home, scored, *flags)
        assert code == 0
        assert f"already running, PID {up.process.pid}, UI at {ui}" in said
        other = tmp_path / "other"
        (other / "runs").mkdir(parents=True)
        code, said = refused(home, other)
        assert (code, "already serves workspace" in said) == (2, True)

        # A verb of this user runs on it, with the credentials, and labels its run with its process.
        result, said = skinml_process(
            *("--workspace", scored, "compact", "--dry-run"),
            environment={"SKINML_HOME": str(home)},
            cwd=tmp_path,
        )
        assert f"on the server of skinml up (PID {up.process.pid}): {ui}" in said
        [run] = up.post(
            "/flow_runs/filter",
            flows={"name": {"any_": ["compact"]}},
            flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}},
        )
        assert run["labels"][f"{LABEL}.pid"] > 0
        assert result["dry_run"] is True

        assert up.stop(signal.SIGTERM) == 0
        assert json.loads(up.said.splitlines()[-1])["stopped_by"] == "SIGTERM"
    assert below(home) == []
    assert not (home / "up.json").exists()
    assert not (home / "prefect" / "server.pid").exists()

    # Without a server the verb runs as before.
    _, said = skinml_process(
        *("--workspace", scored, "compact", "--dry-run"), environment={"SKINML_HOME": str(home)}, cwd=tmp_path
    )
    assert "no Prefect server configured" in said
