"""A Prefect server with deployments and automations of ours, and a webhook, for several test files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import State
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Running

from deployments.automations import ensure_automations
from flows.server import Server, free_port
from flows.server import start as servers
from tests.services.receivers import Received, webhook

SECRET = "/archive/ISIC_0024306.jpg"  # noqa: S105 - what must not be told
MISSED = timedelta(seconds=15)


@flow(name="score")
def nothing() -> None:
    """A flow of this name."""


@dataclass(frozen=True)
class Site:
    """A server with a deployment of ours and one of somebody else's, and a webhook that is told."""

    server: Server
    client: SyncPrefectClient
    flow_id: UUID
    ours: UUID
    theirs: UUID
    received: Received

    def run(self, state: State[None] | None, deployment: UUID | None = None) -> str:
        """A run whose name and messages name an image; it is Running before it gets this state."""
        made = self.client.create_flow_run_from_deployment(deployment or self.ours, name=f"score {SECRET}")
        self.client.set_flow_run_state(made.id, Running(), force=True)
        if state is not None:
            self.client.set_flow_run_state(made.id, state)
        return str(made.id)

    def plan(self) -> list[str]:
        """Two runs of ours that were due minutes ago and are planned now, as Prefect's scheduler does it."""
        deployment = self.client.create_deployment(
            self.flow_id,
            name="planned",
            tags=["skinml"],
            work_pool_name="skinml",
            entrypoint="flows.score.score",
            schedules=[DeploymentScheduleCreate(schedule=CronSchedule(cron="* * * * *"), active=True)],
        )
        due = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
        self.ask(
            "POST", f"/deployments/{deployment}/schedule", {"start_time": due, "min_runs": 2, "max_runs": 2}
        )
        return [str(run.id) for run in self.client.read_flow_runs() if run.deployment_id == deployment]

    def forget(self, flow: str, deployment: str) -> None:
        """Delete a deployment that a test has made, and with it the automation that is only there for it."""
        self.client.delete_deployment(self.client.read_deployment_by_name(f"{flow}/{deployment}").id)
        ensure_automations(self.server.url, self.received.url, MISSED)

    def ask(self, method: str, path: str, body: Any = None) -> None:
        """Ask the server for what its client has no method."""
        httpx.request(method, f"{self.server.url}{path}", json=body, timeout=60).raise_for_status()

    def names(self) -> list[str]:
        """The names of all automations."""
        return sorted(one.name for one in self.client.read_automations())

    def is_told(self, run: str, words: str) -> bool:
        """Whether a message about a run has these words."""
        return any(words in message for message in self.received.about(run))


@contextmanager
def running_site(home: Path) -> Iterator[Site]:
    """Start it. The server looks for late and silent runs every other second, and schedules nothing."""
    usual = servers.server_environment

    def environment(home: Path, port: int) -> dict[str, str]:
        return {
            **usual(home, port),
            "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "2",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "2",
            "PREFECT_SERVER_SERVICES_TRIGGERS_PROACTIVE_GRANULARITY": "1",
            "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
        }

    with webhook() as received, ExitStack() as open_until_the_end:
        with pytest.MonkeyPatch.context() as patched:  # not longer: other servers of this process schedule
            patched.setattr(servers, "server_environment", environment)
            server = open_until_the_end.enter_context(servers.prefect_server(home, free_port()))
        server.wait_until_ready()
        with temporary_settings({PREFECT_API_URL: server.url}):
            client = open_until_the_end.enter_context(get_client(sync_client=True))
            flow_id = client.create_flow(nothing)
            client.create_work_pool(WorkPoolCreate(name="skinml", type="process"))
            ours, theirs = (
                client.create_deployment(
                    flow_id, name=name, tags=tags, work_pool_name="skinml", entrypoint="flows.score.score"
                )
                for name, tags in (("score-nightly", ["skinml"]), ("somebody else's", []))
            )
            ensure_automations(server.url, received.url, MISSED)
        yield Site(server, client, flow_id, ours, theirs, received)
