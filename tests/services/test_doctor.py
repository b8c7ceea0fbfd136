"""The verb doctor on a real server: what is wrong is found, and the rest is checked all the same."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule

from deployments.doctor import scheduling
from tests.command import CommandLine
from tests.services.site import Site

Rows = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def _nothing_of_the_developer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("PREFECT_API_URL", site.server.url)
    return site


def diagnose(skinml: CommandLine, *arguments: object, expect: int = 0) -> Rows:
    answer = skinml(*arguments, "doctor", "--timeout", "60", expect=expect)
    result = json.loads(answer.stdout.splitlines()[-1])
    assert result["failed"] == sum(row["state"] == "failed" for row in result["checks"])
    for row in result["checks"]:
        assert bool(row["mend"]) == (row["state"] != "ok"), row  # what is wrong can be mended
    return {row["check"]: row for row in result["checks"]}


def test_without_server_and_workspace_the_rest_is_checked(
    skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "")
    rows = diagnose(skinml)
    assert set(rows) == {"versions", "server", "disk", "gpu", "clock", "workspace"}
    assert rows["server"]["state"] == rows["workspace"]["state"] == "warning"
    assert rows["versions"]["state"] == "ok"


def test_a_server_that_does_not_answer_stops_nothing(
    skinml: CommandLine, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    rows = diagnose(skinml, "--workspace", night, expect=1)
    assert [name for name, row in rows.items() if row["state"] == "failed"] == ["server"]
    assert rows["workspace"]["state"] == rows["champion"]["state"] == "ok"


def test_places_that_are_wrong_are_found(
    skinml: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.setenv("SKINML_ARCHIVE", str(tmp_path / "nothing"))
    monkeypatch.setenv("SKINML_CLUSTER", "tcp://127.0.0.1:9")
    file = tmp_path / "file"
    file.write_text("")
    rows = diagnose(skinml, "--workspace", file, expect=1)
    failed = {name for name, row in rows.items() if row["state"] == "failed"}
    assert failed == {"workspace", "archive", "cluster"}
    assert "is a file" in rows["workspace"]["detail"]


def test_no_worker_and_parameters_that_are_refused(asked: Site, skinml: CommandLine) -> None:
    rows = diagnose(skinml, expect=1)
    assert "Prefect 3.8" in rows["server"]["detail"]
    assert rows["workers"]["state"] == "failed"
    assert "prefect worker start --pool skinml" in rows["workers"]["mend"]
    assert rows["deployments"]["state"] == "failed"
    assert "score-nightly: this skinml refuses its parameters" in rows["deployments"]["detail"]
    assert rows["scheduling"]["state"] == "warning"
    assert rows["automations"] == {"check": "automations", "state": "ok", "detail": "6 automations", "mend": ""}
    assert rows["clock"]["state"] == "ok"
    assert asked.server.url in rows["clock"]["detail"]


def test_what_is_deployed_as_it_should_be_is_current(asked: Site, skinml: CommandLine, night: Path) -> None:
    request = {"workspace": str(night), "request": {"archive": "/archive", "model": "champion"}}
    asked.ask("PATCH", f"/deployments/{asked.ours}", {"parameters": request})
    asked.ask("POST", "/work_pools/skinml/workers/heartbeat", {"name": "one"})
    try:
        rows = diagnose(skinml, "--workspace", night)
        assert rows["workers"] == {
            "check": "workers", "state": "ok", "detail": "workers alive: skinml 1", "mend": ""
        }  # fmt: skip
        assert rows["deployments"]["detail"].startswith("1 are current; not deployed: compact-weekly")
        rows = diagnose(skinml, "--workspace", night.parent / "other")
        assert "another workspace" in rows["deployments"]["detail"]
    finally:
        asked.ask("PATCH", f"/deployments/{asked.ours}", {"parameters": {}})
        asked.ask("DELETE", "/work_pools/skinml/workers/one")


def test_nights_that_wait_for_retrainings_are_found(asked: Site, skinml: CommandLine) -> None:
    """As earlier versions deployed them."""
    retrain = asked.client.create_deployment(
        asked.flow_id,
        name="retrain",
        tags=["skinml"],
        work_pool_name="skinml",
        entrypoint="flows.retrain.retrain",
    )
    asked.ask("POST", "/work_pools/skinml/workers/heartbeat", {"name": "one"})
    try:
        row = diagnose(skinml, expect=1)["workers"]
        assert (row["state"], row["detail"]) == (
            "warning",
            "score-nightly and retrain are in one work pool (skinml 1)",
        )
        assert "put it into the work pool retrain" in row["mend"]
    finally:
        asked.ask("DELETE", "/work_pools/skinml/workers/one")
        asked.client.delete_deployment(retrain)


def test_a_server_that_schedules_nothing_is_found(
    asked: Site, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scheduler is off here. With SQLAlchemy 2.1 it is on, and fails at every turn."""
    deployment = asked.client.create_deployment(
        asked.flow_id,
        name="compact-weekly",
        tags=["skinml"],
        work_pool_name="skinml",
        entrypoint="flows.compact.compact",
        parameters={"workspace": "/workspace", "request": {}},
        schedules=[DeploymentScheduleCreate(schedule=CronSchedule(cron="0 5 * * 0"), active=True)],
    )
    try:
        assert "ask again in 3 minutes" in diagnose(skinml, expect=1)["scheduling"]["mend"]
        monkeypatch.setattr(scheduling, "FRESH", timedelta(0))
        row = diagnose(skinml, expect=1)["scheduling"]
        assert row["state"] == "failed"
        assert "compact-weekly: the schedule is active, but the server has scheduled no run" in row["detail"]
        planned = asked.client.create_flow_run_from_deployment(deployment)
        body = {"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "2199-01-01T05:00:00Z"}}}
        asked.ask("POST", f"/flow_runs/{planned.id}/set_state", {**body, "force": True})
        assert (
            "next is compact-weekly at 2199-01-01 05:00 UTC"
            in diagnose(skinml, expect=1)["scheduling"]["detail"]
        )
    finally:
        asked.client.delete_deployment(deployment)


def test_a_slot_that_a_dead_run_holds_is_found(asked: Site, skinml: CommandLine) -> None:
    deployment = asked.client.create_deployment(
        asked.flow_id,
        name="prepare",
        tags=["skinml"],
        work_pool_name="skinml",
        entrypoint="flows.prepare.prepare",
        concurrency_limit=1,
    )
    try:
        rows = diagnose(skinml, expect=1)
        assert rows["slots"]["state"] == "warning"
        assert rows["leases"]["state"] == "warning"
        limit = asked.client.read_deployment(deployment).global_concurrency_limit
        assert limit is not None
        asked.ask("PATCH", f"/v2/concurrency_limits/{limit.id}", {"active_slots": 1})
        row = diagnose(skinml, expect=1)["slots"]
        assert row["state"] == "failed"
        assert "prepare (1 taken, 0 running)" in row["detail"]
    finally:
        asked.client.delete_deployment(deployment)
