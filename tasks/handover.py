"""Hand a training run over to the workers of a Prefect work pool, and wait for its row in `runs`.

The machines share nothing but the workspace. So the table `runs`, not Prefect, says how the training ended: it
also has the row of a run whose worker lost the Prefect server.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, WorkerStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from skinml.errors import RequestError, RunError
from skinml.records.trainings import trained_row
from skinml.requests.training import TrainRequest
from tasks.ending import logged_error
from tasks.server_check import first_cause

logger = logging.getLogger("skinml.handover")

DEPLOYMENT = "train/train"
"""The deployment that a fit is handed over to."""

POLL_SECONDS = 5.0
"""How often Prefect and the table `runs` are asked; neither can call back."""

ROW_SECONDS = 60.0
"""How long a training run that Prefect calls completed may take until its row in `runs` is visible."""

LOG_SECONDS = 12.0
"""How long the last lines of a failed training run may take until they are in its log."""


@dataclass(frozen=True)
class Pool:
    """A work pool: whether it exists, how many workers it ever had, and how many of them are alive."""

    name: str
    exists: bool
    workers: int = 0
    online: int = 0


@dataclass(frozen=True)
class HandedOver:
    """How a training run ended that was handed over.

    Attributes:
        outcome: trained; failed (the training itself, so that another try would fail too); or lost (no worker
            took it, or the worker was lost).
        model_version: the new version, if it was trained.
        said: what went wrong otherwise, in one line.
    """

    outcome: Literal["trained", "failed", "lost"]
    model_version: str | None = None
    said: str = ""


def look_at_pool(name: str) -> Pool | None:
    """Ask the Prefect server for a work pool and its workers; None if the server does not answer."""
    try:
        with get_client(sync_client=True) as client:
            return _pool(client, name)
    except httpx.HTTPError as error:
        logger.warning("the Prefect server does not answer (%s)", first_cause(error))
        return None


def _pool(client: SyncPrefectClient, name: str) -> Pool:
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        return Pool(name, exists=False)
    workers = client.read_workers_for_work_pool(name)
    return Pool(name, True, len(workers), sum(worker.status is WorkerStatus.ONLINE for worker in workers))


def pool_of_deployment() -> str | None:
    """The work pool of the deployment that trains; None if the server has no such deployment, or fails."""
    flow, _, name = DEPLOYMENT.partition("/")
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
        found = client.read_deployments(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[name])),
        )
        return found[0].work_pool_name if found else None
    return None


def hand_over(workspace: str, request: TrainRequest, pool: str, worker_wait: float) -> HandedOver:
    """Have a worker of the pool train, and wait until it has.

    Args:
        workspace: normalised URL, which the worker's machine must see too.
        request: what to train; `requested_by` is the run that asks, by which its row is found.
        pool: the pool of the deployment that trains.
        worker_wait: seconds without a living worker after which the training counts as lost.
    """
    wanted = request.model_dump(mode="json", exclude_unset=True)
    try:
        asked: Any = run_deployment(
            DEPLOYMENT,
            parameters={"workspace": workspace, "request": wanted},
            timeout=0,
            idempotency_key=request.requested_by,
        )
    except httpx.HTTPError as error:
        return HandedOver("lost", said=f"the Prefect server did not take the training ({first_cause(error)})")
    logger.info("training handed over to the work pool %s", pool)
    with get_client(sync_client=True) as client:
        return _wait(client, workspace, request.requested_by, asked, pool, worker_wait)


def _wait(
    client: SyncPrefectClient, workspace: str, requested_by: str, asked: FlowRun, pool: str, worker_wait: float
) -> HandedOver:
    last_seen = time.monotonic()  # of a living worker
    ended: float | None = None
    began = False
    while True:
        row = trained_row(workspace, requested_by)
        if row is not None:
            return _by_row(row)
        state = _ask(client, asked)
        if state is not None and state.type is StateType.RUNNING and not began:
            began = True
            logger.info("a worker of %s has begun to train", pool)
        if state is not None and state.is_final():
            ended = ended or time.monotonic()
            said = "" if state.is_completed() else _logged_error(client, asked)
            if said or time.monotonic() - ended > (ROW_SECONDS if state.is_completed() else LOG_SECONDS):
                return _by_state(state, pool, said)
        elif state is not None and _is_served(client, pool):
            last_seen = time.monotonic()
        elif time.monotonic() - last_seen >= worker_wait:
            _give_up(client, asked)
            what = "the worker that trained was lost, and none is back" if began else "no worker came"
            return HandedOver("lost", said=f"work pool {pool}: {what} within {worker_wait:g} s")
        time.sleep(POLL_SECONDS)


def _ask(client: SyncPrefectClient, asked: FlowRun) -> State[Any] | None:
    """The state of the training run; None if the server does not answer, whose runs may go on all the same."""
    try:
        return client.read_flow_run(asked.id).state
    except httpx.HTTPError as error:
        logger.warning(
            "the Prefect server does not answer (%s): waiting for the row in runs", first_cause(error)
        )
        return None


def _logged_error(client: SyncPrefectClient, asked: FlowRun) -> str:
    """What went wrong. A state holds no text of an error, because states are sent in notifications."""
    try:
        return logged_error(client, asked.id)
    except httpx.HTTPError:
        return ""


def _is_served(client: SyncPrefectClient, pool: str) -> bool:
    try:
        return bool(_pool(client, pool).online)
    except httpx.HTTPError:
        return False


def _give_up(client: SyncPrefectClient, asked: FlowRun) -> None:
    """Cancel the training run, so that a worker that comes later does not begin it."""
    message = "no worker took it in time: the run that asked for it goes on without it"
    with suppress(httpx.HTTPError):
        client.set_flow_run_state(asked.id, Cancelled(message=message), force=True)


def _by_row(row: dict[str, Any]) -> HandedOver:
    if row["status"] == "completed":
        return HandedOver("trained", row["model_version"])
    return HandedOver("failed", said=f"the training failed: {row['error']}")


def _by_state(state: State[Any], pool: str, said: str) -> HandedOver:
    """A training that ended for Prefect and left no row: refused, or dead before it could."""
    said = said or " ".join(str(state.message or "").split())
    what = f"the training on {pool} is {state.name}" + (f": {said}" if said else "")
    return HandedOver("lost" if state.is_crashed() else "failed", said=what)


def refuse_unknown_pool(name: str) -> None:
    """Raise RequestError if the server has no such work pool, or the deployment that trains is elsewhere."""
    pool = look_at_pool(name)
    if pool is None:  # the run goes on without the server, and trains where it is
        return
    if not pool.exists:
        raise RequestError(
            f"--train-on {name}: the Prefect server has no such work pool; create it with `prefect work-pool"
            f" create --type process {name}`, or leave --train-on out"
        )
    there = pool_of_deployment()
    if there != name:
        found = "is not deployed" if there is None else f"is deployed to the pool {there}"
        raise RequestError(f"--train-on {name}: {DEPLOYMENT} {found}; deploy it to {name}")


def fail(handed: HandedOver) -> RunError:
    """The error of a run whose challenger could not be trained."""
    return RunError(f"{handed.said}; run it again")
