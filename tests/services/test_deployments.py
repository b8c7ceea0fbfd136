"""The shipped deployments on a running server: a worker picks a run up, the rows appear. No clone is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from flows.server import Server, free_port
from flows.server import prefect_server as start_prefect_server
from skinml import tables
from tests.conftest import MadeUp
from tests.services.deployed import NIGHTLY, install, rows_of_nights, some_images
from tests.services.processes import wait_for
from tests.wheel import Environment


@pytest.mark.timeout(600)  # starts a server and a worker, and may be the first to ask for the trained model
def test_a_wheel_deploys_all_and_a_worker_scores_a_night(
    prefect_server: Server,
    wheel_environment: Environment,
    trained: Path,
    made_up: MadeUp,
    tmp_path: Path,
    jpeg: Callable[..., bytes],
) -> None:
    """In folders outside any clone: deployed from one of them, while the worker is started in another."""
    installed = install(tmp_path, trained, made_up, some_images(jpeg, 5), wheel=wheel_environment)
    fresh = tmp_path / "fresh"
    shipped = wheel_environment.run("python", "-m", "deployments", cwd=tmp_path).stdout.strip()
    assert Path(shipped).is_relative_to(wheel_environment.folder)
    assert list(installed.folder.iterdir()) == []
    installed.deploy(prefect_server, "--prefect-file", shipped)

    deployed = httpx.get(f"{prefect_server.url}/deployments/name/score/score-nightly").json()
    [schedule] = deployed["schedules"]
    assert schedule["schedule"] == {"cron": NIGHTLY, "timezone": "Europe/Vienna", "day_or": True}
    assert schedule["active"]
    # A slot that a dead run holds would cancel every later night: tests/services/test_power_loss.py.
    assert deployed["global_concurrency_limit"] is None
    # By default Prefect would have runs change into the folder that was deployed from, wherever the worker is.
    assert (deployed["entrypoint"], deployed["pull_steps"]) == ("flows.score.score", [])

    weekly = httpx.get(f"{prefect_server.url}/deployments/name/compact/compact-weekly").json()
    [schedule] = weekly["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 5 * * 0", True)

    recheck = httpx.get(f"{prefect_server.url}/deployments/name/score/recheck-weekly").json()
    [schedule] = recheck["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 3 * * 6", False)
    assert recheck["parameters"]["request"]["recheck"] is True

    with installed.worker(prefect_server):
        watch = ("--watch", "--watch-interval", "1", "--watch-timeout", "180")
        installed.prefect(prefect_server, "deployment", "run", "score/score-nightly", *watch)
        to_fresh = ("--param", f'workspace="{fresh}"')
        installed.prefect(prefect_server, "deployment", "run", "prepare/prepare", *watch, *to_fresh)
        relative = ("--param", 'workspace="here"')
        installed.prefect(prefect_server, "deployment", "run", "prepare/prepare", *watch, *relative, expect=1)
    assert "workspace 'here': runs of a deployment start in a temporary folder" in (
        (tmp_path / "worker.log").read_text(encoding="utf-8")
    )

    scores = tables.read(str(installed.workspace), "scores")
    assert scores.num_rows == 4
    runs = tables.read(str(installed.workspace), "runs").to_pandas().set_index("flow")
    assert (runs.loc["score", "status"], runs.loc["score", "listed"]) == ("completed", 5)
    assert tables.read(str(fresh), "samples").num_rows == 140


@pytest.mark.timeout(600)  # waits for a worker and for a client that gives up
def test_a_deployed_night_goes_on_when_its_server_dies(
    trained: Path, made_up: MadeUp, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    installed = install(tmp_path, trained, made_up, some_images(jpeg, 5))
    workspace, log = str(installed.workspace), tmp_path / "worker.log"
    with start_prefect_server(tmp_path / "prefect", free_port()) as server:
        server.wait_until_ready()
        installed.deploy(server)
        with installed.worker(server, PREFECT_CLIENT_MAX_RETRIES="2"):  # Prefect's own 5 last a minute
            installed.prefect(server, "deployment", "run", "score/score-nightly")
            wait_for(lambda: "Task run 'check " in log.read_text(encoding="utf-8"), 120, "the first stages")
            server.process.kill()
            server.process.wait()
            wait_for(lambda: len(rows_of_nights(workspace)) > 0, 120, "the end of the night")
        said = log.read_text(encoding="utf-8")
    assert set(rows_of_nights(workspace)["status"]) == {"completed"}
    assert tables.read(workspace, "scores").num_rows == 4
    assert said.count("continuing without it") == 1
