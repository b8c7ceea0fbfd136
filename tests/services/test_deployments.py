"""The shipped deployments on a running server: schedules fire, a worker picks runs up, the rows appear.

No clone is needed: all is done in folders outside of one, with the wheel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.server import Server, free_port
from flows.server import prefect_server as start_prefect_server
from skinml import tables
from tests.conftest import MadeUp
from tests.services.deployed import NIGHTLY, OFTEN, Installation, install, nights, rows_of_nights, some_images
from tests.services.processes import wait_for
from tests.wheel import Environment

pytestmark = pytest.mark.timeout(600)  # starts a server and a worker, and may be the first to ask for a model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployed")


@pytest.fixture(scope="module")
def installed(
    prefect_server: Server,
    wheel_environment: Environment,
    trained: Path,
    made_up: MadeUp,
    folder: Path,
    jpeg: Callable[..., bytes],
) -> Iterator[Installation]:
    """Deployed from one folder, while its worker is started in another; nothing is deployed when it ends."""
    made = install(folder, trained, made_up, some_images(jpeg, 5), wheel=wheel_environment)
    shipped = wheel_environment.run("python", "-m", "deployments", cwd=folder).stdout.strip()
    assert Path(shipped).is_relative_to(wheel_environment.folder)
    assert list(made.folder.iterdir()) == []
    made.deploy(prefect_server, "--prefect-file", shipped)
    with made.worker(prefect_server):
        yield made
    for deployed in httpx.post(f"{prefect_server.url}/deployments/filter", json={}, timeout=60).json():
        url = f"{prefect_server.url}/deployments/{deployed['id']}"
        change(partial(httpx.delete, url, timeout=60))  # what it has planned goes with it


def deployment(server: Server, name: str) -> dict[str, Any]:
    """What the server has of a deployment."""
    found: dict[str, Any] = httpx.get(f"{server.url}/deployments/name/{name}", timeout=60).json()
    return found


def change(ask: Callable[[], httpx.Response]) -> None:
    """Change something on the server, again if its SQLite database was locked: 503."""
    wait_for(lambda: ask().is_success, 60, "the change")


def test_a_wheel_deploys_what_is_shipped(installed: Installation, prefect_server: Server) -> None:
    deployed = deployment(prefect_server, "score/score-nightly")
    [schedule] = deployed["schedules"]
    assert schedule["schedule"] == {"cron": NIGHTLY, "timezone": "Europe/Vienna", "day_or": True}
    assert schedule["active"]
    # A slot that a dead run holds would cancel every later night: tests/services/test_power_loss.py.
    assert deployed["global_concurrency_limit"] is None
    # By default Prefect would have runs change into the folder that was deployed from, wherever the worker is.
    assert (deployed["entrypoint"], deployed["pull_steps"]) == ("flows.score.score", [])

    [schedule] = deployment(prefect_server, "compact/compact-weekly")["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 5 * * 0", True)

    recheck = deployment(prefect_server, "score/recheck-weekly")
    [schedule] = recheck["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 3 * * 6", False)
    assert recheck["parameters"]["request"]["recheck"] is True


def test_a_worker_prepares_when_it_is_asked_to(
    installed: Installation, prefect_server: Server, folder: Path
) -> None:
    fresh = folder / "fresh"
    watch = ("--watch", "--watch-interval", "1", "--watch-timeout", "180")
    to_fresh = ("--param", f'workspace="{fresh}"')
    installed.prefect(prefect_server, "deployment", "run", "prepare/prepare", *watch, *to_fresh)
    assert tables.read(str(fresh), "samples").num_rows == 140

    relative = ("--param", 'workspace="here"')
    installed.prefect(prefect_server, "deployment", "run", "prepare/prepare", *watch, *relative, expect=1)
    assert "workspace 'here': runs of a deployment start in a temporary folder" in (
        (folder / "worker.log").read_text(encoding="utf-8")
    )


def test_a_schedule_scores_a_night_by_itself(installed: Installation, prefect_server: Server) -> None:
    """Nobody asks for anything; the shipped schedule is only made to fire every 20 s."""
    workspace, deployed = str(installed.workspace), deployment(prefect_server, "score/score-nightly")
    url = f"{prefect_server.url}/deployments/{deployed['id']}"
    schedule = f"{url}/schedules/{deployed['schedules'][0]['id']}"
    often = {"schedule": {"cron": OFTEN, "timezone": "Europe/Vienna"}}
    try:
        change(lambda: httpx.patch(schedule, json=often, timeout=60))
        # This marks it as changed: otherwise Prefect may look at it again only in a minute.
        change(lambda: httpx.post(f"{url}/resume_deployment", timeout=60))
        wait_for(lambda: len(rows_of_nights(workspace)) > 0, 200, "the first scheduled night")
    finally:
        change(lambda: httpx.post(f"{url}/pause_deployment", timeout=60))
    asked_by = {run["created_by"]["type"] for run in nights(prefect_server, limit=5)}
    assert asked_by == {"SCHEDULE"}
    assert tables.read(workspace, "scores").num_rows == 4
    rows = rows_of_nights(workspace)
    assert set(rows["status"]) == {"completed"}
    assert rows["listed"].max() == 5


@pytest.mark.drill  # waits for a worker and for a client that gives up
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
