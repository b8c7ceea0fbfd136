"""After a crash or a night off: dead runs become Crashed, of several missed runs one is made up.

Prefect leaves both alone: a run whose process is gone stays Running, and after a week off a worker would start
every missed run. What is done here is written in the state of each run; nothing is deleted.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from deployments.up.api import Api
from skinml.errors import RunError
from skinml.process.identity import LABEL, is_alive_here, is_on_this_machine, system

logger = logging.getLogger("skinml.up")

TAG = "skinml"
MADE_UP = "made-up"
"""A tag of the run that makes up for missed ones. If it is lost too, the next scheduled run does its work."""

WORKER = "prefect.worker.name"
"""A label that Prefect's worker gives to a run when it begins to start it."""

Run = dict[str, Any]


@dataclass(frozen=True)
class Reconciled:
    """How many runs were changed: dead ones, and missed ones."""

    crashed: int
    skipped: int


def reconcile(api: Api, worker_name: str, alive: set[str]) -> Reconciled:
    """Before any worker of this home is started: crash what is dead, skip what was missed.

    Args:
        api: of the server.
        worker_name: the beginning of the names of this home's workers.
        alive: ids of flow runs that have a process below this home.
    """
    return Reconciled(crash_dead(api, worker_name, alive), _skip_missed(api))


def crash_dead(api: Api, worker_name: str, alive: set[str]) -> int:
    """Set runs whose process on this machine is gone to Crashed, and their task runs too. How many.

    A run is dead if a worker of this home had it and no process below this home runs it, or if it was a verb
    whose process is gone. Runs of other machines' workers are left alone. So are runs that no worker has
    labelled yet, if another machine has a worker for their pool.
    """
    crashed = 0
    for run in _unfinished(api):
        why = _why_dead(run, worker_name, alive, lambda run: _only_ours(api, run, worker_name))
        if why is not None and _set_state(api, "flow_runs", run, "CRASHED", "Crashed", why):
            crashed += 1
            unfinished = {"state": {"type": {"any_": ["PENDING", "RUNNING"]}}}
            of_run = {"id": {"any_": [run["id"]]}}
            for task in api.all("/task_runs/filter", flow_runs=of_run, task_runs=unfinished):
                _set_state(api, "task_runs", task, "CRASHED", "Crashed", why)
            logger.warning("run %s was left %s: now Crashed", run["name"], run["state_name"])
    return crashed


def make_up(api: Api, timezone: str) -> list[str]:
    """After the deployments were made: run once now what was lost or missed last. The names of the new runs.

    For each active schedule of ours the last run that was lost counts. If no later run of the deployment has
    completed, one run is made. Its key is the lost run, so it is made once, however often `up` starts.
    """
    made = []
    for deployment in api.all("/deployments/filter", deployments={"tags": {"all_": [TAG]}}):
        if deployment["paused"] or not any(schedule["active"] for schedule in deployment["schedules"]):
            continue
        lost = _last_lost(api, deployment["id"])
        if lost is None or _completed_since(api, deployment["id"], lost):
            continue
        run = api.post(
            f"/deployments/{deployment['id']}/create_flow_run",
            idempotency_key=f"made-up-{lost['id']}",
            tags=[MADE_UP],
        )
        if run["state_type"] == "SCHEDULED":
            due = moment(lost["expected_start_time"]).astimezone(ZoneInfo(timezone))
            said = "%s of %s was missed: made up now by run %s"
            logger.info(said, deployment["name"], f"{due:%a %d %b %H:%M}", run["name"])
            made.append(str(run["name"]))
    return made


def moment(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _unfinished(api: Api) -> list[Run]:
    state = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
    tags = {"all_": [TAG]}
    return api.all("/flow_runs/filter", flow_runs={"state": state, "tags": tags}, sort="ID_DESC")


def _why_dead(run: Run, worker_name: str, alive: set[str], only_ours: Callable[[Run], bool]) -> str | None:
    """Why a run is dead, as its state says it; None if it may be alive."""
    labels = run.get("labels") or {}
    worker = labels.get(WORKER)
    if worker is None and f"{LABEL}.pid" in labels:
        host, of_system = str(labels[f"{LABEL}.host"]), str(labels[f"{LABEL}.system"])
        if not is_on_this_machine(host, of_system):
            return _other_boot(host, of_system)
        pid = int(labels[f"{LABEL}.pid"])
        alive_here = is_alive_here(pid, float(labels[f"{LABEL}.process_started"]))
        return None if alive_here else f"Its process {pid} is gone. Found by skinml up."
    ours = worker.startswith(f"{worker_name}-") if worker else run["deployment_id"] and only_ours(run)
    if not ours or run["id"] in alive:
        return None
    return "Its process is gone: power, skinml up or its worker went away in the run. Found by skinml up."


def _other_boot(host: str, of_system: str) -> str | None:
    """Why a run of this host before its last boot is dead; None for another host, or another container."""
    boot, _, namespace = of_system.partition(" ")
    boot_now, _, namespace_now = system().partition(" ")
    if host != socket.gethostname() or boot == boot_now or namespace != namespace_now:
        return None
    return "This machine was started again since. Found by skinml up."


def _only_ours(api: Api, run: Run, worker_name: str) -> bool:
    """Whether every worker that has ever served the pool of a run is of this home."""
    if not run.get("work_pool_name"):
        return False
    workers = api.all(f"/work_pools/{run['work_pool_name']}/workers/filter")
    return all(str(worker["name"]).startswith(f"{worker_name}-") for worker in workers)


def _skip_missed(api: Api) -> int:
    """Set scheduled runs whose time has passed to Skipped, a kind of Cancelled: `make_up` runs one for them."""
    missed = {
        "state": {"type": {"any_": ["SCHEDULED"]}, "name": {"any_": ["Scheduled", "Late"]}},
        "tags": {"all_": [TAG]},
        "expected_start_time": {"before_": datetime.now(UTC).isoformat()},
    }
    why = "skinml up was not running when it was due. One run makes up for all that were missed."
    runs = api.all("/flow_runs/filter", flow_runs=missed, sort="ID_DESC")
    return sum(
        _set_state(api, "flow_runs", run, "CANCELLED", "Skipped", why) for run in runs if run["auto_scheduled"]
    )


def _last_lost(api: Api, deployment: str) -> Run | None:
    """The run of a schedule that was lost last: skipped, or crashed. One that began late was lost late."""
    due = {
        "deployment_id": {"any_": [deployment]},
        "expected_start_time": {"before_": datetime.now(UTC).isoformat()},
        "state": {"type": {"not_any_": ["SCHEDULED"]}},
    }
    found = api.post("/flow_runs/filter", flow_runs=due, sort="EXPECTED_START_TIME_DESC", limit=50)
    lost = [run for run in found if run["auto_scheduled"] and _is_lost(run)]
    return max(lost, key=_begun, default=None)


def _is_lost(run: Run) -> bool:
    return bool(run["state_type"] == "CRASHED" or run["state_name"] == "Skipped")


def _begun(run: Run) -> datetime:
    """When the work of a lost run has begun or should have. Prefect gives skipped runs a start of its own."""
    due = moment(run["expected_start_time"])
    began = run["start_time"] if run["state_type"] == "CRASHED" else None
    return due if began is None else max(due, moment(began))


def _completed_since(api: Api, deployment: str, lost: Run) -> bool:
    done = {
        "deployment_id": {"any_": [deployment]},
        "start_time": {"after_": _begun(lost).isoformat()},
        "state": {"type": {"any_": ["COMPLETED"]}},
    }
    return bool(api.post("/flow_runs/filter", flow_runs=done, limit=1))


def _set_state(api: Api, kind: str, run: Run, state_type: str, name: str, message: str) -> bool:
    """Set the state of a run. False if Prefect refuses: the run has moved on in the meantime."""
    state = {"type": state_type, "name": name, "message": message}
    try:
        answer = api.post(f"/{kind}/{run['id']}/set_state", state=state, force=False)
    except RunError as error:
        logger.warning("run %s could not be set to %s: %s", run["name"], name, error)
        return False
    return bool(answer["status"] == "ACCEPT")
