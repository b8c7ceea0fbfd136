"""The whole way, with the shipped deployments: late, dead and failed nights are told, by webhook and mail.

The drill: `make drill-told`. It waits for schedules, and takes a few minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.automations import ensure_automations
from flows.server import free_port, prefect_server
from skinml.process.crash_points import VARIABLE
from tests.conftest import MadeUp
from tests.services.deployed import OFTEN, install, nights, some_images
from tests.services.processes import wait_for
from tests.services.receivers import mail_server, webhook
from tests.services.test_power_loss import _lose_power

SECONDS = 300.0


@pytest.mark.drill
@pytest.mark.timeout(1500)
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # of Apprise
def test_nights_that_are_late_killed_silent_or_failed_are_told(
    trained: Path,
    made_up: MadeUp,
    tmp_path: Path,
    jpeg: Callable[..., bytes],
) -> None:
    installed = install(tmp_path, trained, made_up, some_images(jpeg, 20), cron=OFTEN)
    order = tmp_path / "order"
    order.touch()
    with (
        webhook() as hook,
        mail_server() as mail,
        prefect_server(tmp_path / "p", free_port()) as server,
    ):
        server.wait_until_ready()
        installed.deploy(server)
        environment = {**os.environ, **installed.environment, "PREFECT_API_URL": server.url}
        subprocess.run(
            [sys.executable, "-m", "deployments", "automations"],
            env={**environment, "SKINML_NOTIFY": hook.url},
            check=True,
        )
        wait_for(lambda: bool(hook.about("A run is late")), SECONDS, "a late night, without a worker")
        [late, *_] = nights(server, flow_runs={"state": {"name": {"any_": ["Late"]}}})
        assert late["auto_scheduled"]
        assert hook.about(late["id"])

        with installed.worker(server, **{VARIABLE: f"7:{order}"}):  # one flow kills itself before its commit
            wait_for(lambda: bool(hook.about("A run crashed")), SECONDS, "a crashed night")

        ensure_automations(server.url, hook.url, timedelta(seconds=75))
        told = len(hook.about("A run crashed"))
        with installed.worker(server, PREFECT_FLOWS_HEARTBEAT_FREQUENCY="30") as worker:
            running = {"state": {"type": {"any_": ["RUNNING"]}}}
            wait_for(
                lambda: any(run["start_time"] for run in nights(server, flow_runs=running)), SECONDS, "a night"
            )
            silent = {run["id"] for run in nights(server, flow_runs=running)}  # no heartbeat may have come yet
            _lose_power(worker)
        wait_for(lambda: len(hook.about("A run crashed")) > told, SECONDS, "the end of a silent night")
        assert any(hook.about(run) for run in silent)

        ensure_automations(server.url, mail.url)
        shutil.rmtree(installed.archive)
        with installed.worker(server):
            wait_for(lambda: bool(mail.about("A run failed")), SECONDS, "a failed night")
    for message in [*hook.messages, *mail.messages]:
        assert str(tmp_path) not in message
        assert ".jpg" not in message
