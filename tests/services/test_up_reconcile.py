"""What `skinml up` mends at its start, on a real server: dead runs, and runs that were missed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil
import pytest

from deployments.up.api import Api
from deployments.up.reconcile import TAG, crash_dead, make_up, reconcile
from flows.server import Server
from skinml.errors import RunError
from skinml.process.identity import LABEL, this_process
from tests.services.processes import wait_for

OURS = "up-this-machine-1234"
POOL = "test-of-reconcile"
SECONDS = "* * * * * */1"


@pytest.fixture
def api(prefect_server: Server) -> Iterator[Api]:
    opened = Api(prefect_server.url)
    yield opened
    opened.close()


@pytest.fixture
def flow(api: Api) -> str:
    return str(api.post("/flows/", name="a flow of test_up_reconcile")["id"])


def deployed(api: Api, flow: str, cron: str | None) -> str:
    known = [pool["name"] for pool in api.all("/work_pools/filter")]
    if POOL not in known:
        api.post("/work_pools/", name=POOL, type="process")
    schedules = [{"schedule": {"cron": cron, "timezone": "UTC"}, "active": True}] if cron else []
    made = {
        "name": "every second" if cron == SECONDS else "other",
        "flow_id": flow,
        "work_pool_name": POOL,
        "tags": [TAG],
    }
    return str(api.post("/deployments/", **made, entrypoint="flows.score.score", schedules=schedules)["id"])


def begun(api: Api, deployment: str, state: str, labels: dict[str, Any]) -> str:
    run = api.post(f"/deployments/{deployment}/create_flow_run", tags=[TAG])
    label(api, run["id"], labels)
    for kind in ("PENDING", "RUNNING")[: 1 + (state == "RUNNING")]:
        assert api.post(f"/flow_runs/{run['id']}/set_state", state={"type": kind})["status"] == "ACCEPT"
    return str(run["id"])


def label(api: Api, run: str, labels: dict[str, Any]) -> None:
    assert httpx.patch(f"{api.url}/flow_runs/{run}/labels", json=labels, timeout=60).is_success


def state_of(api: Api, run: str) -> tuple[str, str]:
    state = api.get(f"/flow_runs/{run}")["state"]
    return state["name"], state["message"] or ""


def test_runs_whose_process_is_gone_become_crashed_and_no_others(api: Api, flow: str) -> None:
    crash_dead(api, OURS, set())  # what other tests of this server have left
    deployment = deployed(api, flow, None)
    here = {f"{LABEL}.{name}": value for name, value in this_process().items()}
    no_process = max(psutil.pids()) + 10_000
    worker = {"prefect.worker.name": f"{OURS}-skinml"}
    dead = {
        "of our worker": begun(api, deployment, "RUNNING", worker),
        "of our worker, not begun": begun(api, deployment, "PENDING", worker),
        "of a verb": begun(api, deployment, "RUNNING", {**here, f"{LABEL}.pid": no_process}),
        "of a verb whose process id is another's now": begun(
            api, deployment, "RUNNING", {**here, f"{LABEL}.process_started": 1.0}
        ),
        "of a verb before this boot": begun(
            api,
            deployment,
            "RUNNING",
            {**here, f"{LABEL}.system": "a " + here[f"{LABEL}.system"].split(" ")[-1]},
        ),
        "of nobody yet": begun(api, deployment, "PENDING", {}),
    }
    task = {
        "flow_run_id": dead["of our worker"],
        "task_key": "t",
        "dynamic_key": "0",
        "state": {"type": "RUNNING"},
    }
    task_run = api.post("/task_runs/", **task)["id"]
    lives = begun(api, deployment, "RUNNING", worker)
    alive = {
        "of our worker, with a process": lives,
        "of another machine's worker": begun(api, deployment, "RUNNING", {"prefect.worker.name": "theirs"}),
        "of a verb that runs": begun(api, deployment, "RUNNING", here),
        "of a verb elsewhere": begun(api, deployment, "RUNNING", {**here, f"{LABEL}.host": "elsewhere"}),
    }
    assert crash_dead(api, OURS, {lives}) == len(dead)
    for what, run in dead.items():
        name, message = state_of(api, run)
        assert (name, "Found by skinml up." in message) == ("Crashed", True), what
    for what, run in alive.items():
        assert state_of(api, run)[0] == "Running", what
    assert api.get(f"/task_runs/{task_run}")["state"]["name"] == "Crashed"

    api.post(f"/work_pools/{POOL}/workers/heartbeat", name="theirs")
    somebody = begun(api, deployment, "PENDING", {})
    assert crash_dead(api, OURS, {lives}) == 0
    assert state_of(api, somebody)[0] == "Pending", "another machine's worker may have it"
    httpx.delete(f"{api.url}/deployments/{deployment}")
    for run in (*dead.values(), *alive.values(), somebody):
        httpx.delete(f"{api.url}/flow_runs/{run}")


def test_of_several_missed_runs_one_is_made_up_once(api: Api, flow: str) -> None:
    deployment = deployed(api, flow, SECONDS)
    of_it = {"deployment_id": {"any_": [deployment]}}

    def missed() -> list[dict[str, Any]]:
        due = {"expected_start_time": {"before_": datetime.now(UTC).isoformat()}}
        return api.all("/flow_runs/filter", flow_runs={**of_it, **due})

    wait_for(lambda: len(missed()) >= 3, 90, "three runs that nobody starts")
    reconciled = reconcile(api, OURS, set())
    assert reconciled.skipped >= 3
    assert {run["state_name"] for run in missed()[3:]} <= {"Skipped", "Scheduled", "Late"}
    [made] = make_up(api, "Europe/Vienna")
    assert make_up(api, "Europe/Vienna") == [made], "started again before the worker: the same run"
    made_up = api.all("/flow_runs/filter", flow_runs={**of_it, "tags": {"all_": ["made-up"]}})
    assert [run["name"] for run in made_up] == [made]
    why = state_of(api, next(run["id"] for run in missed() if run["state_name"] == "Skipped"))
    assert why == (
        "Skipped",
        "skinml up was not running when it was due. One run makes up for all that were missed.",
    )

    for kind in ("PENDING", "RUNNING", "COMPLETED"):
        api.post(f"/flow_runs/{made_up[0]['id']}/set_state", state={"type": kind}, force=True)
    assert make_up(api, "Europe/Vienna") == [], "made up, and done"
    httpx.delete(f"{api.url}/deployments/{deployment}")


def test_a_run_that_began_late_and_was_killed_is_made_up(api: Api, flow: str) -> None:
    """A worker that was busy for long starts the runs of hours ago; power goes in the second one."""
    deployment = deployed(api, flow, SECONDS)
    of_it = {"deployment_id": {"any_": [deployment]}}

    def missed() -> list[dict[str, Any]]:
        due = {"expected_start_time": {"before_": datetime.now(UTC).isoformat()}}
        found = api.all("/flow_runs/filter", flow_runs={**of_it, **due})
        return sorted(found, key=lambda run: str(run["expected_start_time"]))

    wait_for(lambda: len(missed()) >= 3, 90, "three runs that nobody starts")
    first, second, third, *_ = missed()
    skipped = {"type": "CANCELLED", "name": "Skipped"}
    api.post(f"/flow_runs/{third['id']}/set_state", state=skipped, force=True)
    for run, kinds in ((first, ("PENDING", "RUNNING", "COMPLETED")), (second, ("PENDING", "RUNNING"))):
        label(api, run["id"], {"prefect.worker.name": f"{OURS}-skinml"})
        for kind in kinds:
            api.post(f"/flow_runs/{run['id']}/set_state", state={"type": kind}, force=True)
    api.post(f"/deployments/{deployment}/pause_deployment")  # the server deletes what is still planned
    reconcile(api, OURS, set())
    assert state_of(api, second["id"])[0] == "Crashed"
    api.post(f"/deployments/{deployment}/resume_deployment")
    assert len(make_up(api, "UTC")) == 1, "the first one did not see what came until the second one began"
    httpx.delete(f"{api.url}/deployments/{deployment}")


def test_a_deployment_that_is_paused_is_not_made_up(api: Api, flow: str) -> None:
    deployment = deployed(api, flow, "0 0 1 1 *")
    run = api.post(f"/deployments/{deployment}/create_flow_run", tags=[TAG])
    api.post(f"/flow_runs/{run['id']}/set_state", state={"type": "CRASHED"}, force=True)
    assert make_up(api, "UTC") == [], "nobody has scheduled it"
    httpx.delete(f"{api.url}/deployments/{deployment}")


def test_a_server_that_is_gone_is_said_in_one_line() -> None:
    gone = Api("http://127.0.0.1:9/api")
    assert not gone.is_ready()
    with pytest.raises(RunError, match=r"the Prefect server http://127\.0\.0\.1:9/api does not answer"):
        gone.get("/health")
    gone.close()
