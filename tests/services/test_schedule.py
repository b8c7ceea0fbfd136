"""A schedule fires by itself: server, deploy, worker, and then nobody asks for anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.server import free_port
from flows.server import prefect_server as start_prefect_server
from skinml import tables
from tests.conftest import MadeUp
from tests.services.deployed import OFTEN, install, nights, rows_of_nights, some_images
from tests.services.processes import wait_for


@pytest.mark.timeout(600)  # server, deployment and schedule take their time on a busy machine
def test_the_shipped_schedule_scores_a_night_by_itself(
    trained: Path, made_up: MadeUp, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    installed = install(tmp_path, trained, made_up, some_images(jpeg, 5), cron=OFTEN)
    workspace = str(installed.workspace)
    with start_prefect_server(tmp_path / "prefect", free_port()) as server:
        server.wait_until_ready()
        installed.deploy(server)
        with installed.worker(server):
            wait_for(lambda: len(rows_of_nights(workspace)) > 0, 200, "the first scheduled night")
        asked_by = {run["created_by"]["type"] for run in nights(server, limit=5)}
    assert asked_by == {"SCHEDULE"}
    assert tables.read(workspace, "scores").num_rows == 4
    assert set(rows_of_nights(workspace)["status"]) == {"completed"}
