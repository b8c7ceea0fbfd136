"""From a clean clone onto a running server: deploy, a worker picks a run up, the rows appear."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from flows.server import Server
from skinml import tables
from tests.conftest import REPOSITORY, MadeUp
from tests.services.processes import service

PREFECT = [sys.executable, "-m", "prefect"]


def test_deploy_all_and_a_worker_that_scores_a_night(
    prefect_server: Server, trained: Path, made_up: MadeUp, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    clone = tmp_path / "clone"
    mine = ("skinml-demo", ".venv*", ".bench", ".drill", ".git", ".*_cache", "__pycache__")
    shutil.copytree(REPOSITORY, clone, symlinks=True, ignore=shutil.ignore_patterns(*mine))
    archive = tmp_path / "archive"
    archive.mkdir()
    for number in range(5):
        (archive / f"{number}.jpg").write_bytes(jpeg(number) if number else b"")
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    fresh = tmp_path / "fresh"
    environment = {
        "PREFECT_API_URL": prefect_server.url,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "SKINML_WORKSPACE": str(workspace),
        "SKINML_ARCHIVE": str(archive),
        "SKINML_IMAGES": ",".join(str(root) for root in made_up.roots),
        "SKINML_METADATA": str(made_up.metadata),
        "PREFECT_WORKER_QUERY_SECONDS": "1",  # a worker asks for work every 10 s otherwise
    }

    def prefect(*arguments: str) -> None:
        command = [*PREFECT, "--no-prompt", *arguments]
        done = subprocess.run(
            command, cwd=clone, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    prefect("work-pool", "create", "--type", "process", "skinml")
    prefect("deploy", "--all")

    deployed = httpx.get(f"{prefect_server.url}/deployments/name/score/score-nightly").json()
    [schedule] = deployed["schedules"]
    assert schedule["schedule"] == {"cron": "0 2 * * *", "timezone": "Europe/Vienna", "day_or": True}
    assert schedule["active"]
    assert deployed["global_concurrency_limit"]["limit"] == 1
    assert deployed["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"

    weekly = httpx.get(f"{prefect_server.url}/deployments/name/compact/compact-weekly").json()
    [schedule] = weekly["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 5 * * 0", True)

    worker = [*PREFECT, "worker", "start", "--pool", "skinml"]
    with service(worker, environment, tmp_path / "worker.log"):
        watch = ("--watch", "--watch-interval", "1", "--watch-timeout", "180")
        prefect("deployment", "run", "score/score-nightly", *watch)
        prefect("deployment", "run", "prepare/prepare", *watch, "--param", f'workspace="{fresh}"')

    scores = tables.read(str(workspace), "scores")
    assert scores.num_rows == 4
    runs = tables.read(str(workspace), "runs").to_pandas().set_index("flow")
    assert (runs.loc["score", "status"], runs.loc["score", "listed"]) == ("completed", 5)
    assert tables.read(str(fresh), "samples").num_rows == 140
