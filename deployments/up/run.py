"""`skinml up`, from the request to the end: check, start, reconcile, deploy, work, stop."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments import PREFECT_FILE
from deployments.up import children, deployed, reconcile, signals, timetable, wrong
from deployments.up.api import Api
from deployments.up.auth import choose_credentials
from deployments.up.children import Child, Watch
from deployments.up.database import check_database
from deployments.up.deploy import (
    APART,
    NIGHTLY,
    RETRAIN,
    Plan,
    check_requests,
    make_pools,
    named_variables,
    read_plan,
)
from deployments.up.not_started import why_not_started
from deployments.up.processes import is_flow, running_flow_runs, stop
from deployments.up.settings import Address, client_environment, common, server_environment
from deployments.up.state import Home, UpState, home_folder, locked, read_state, write_state
from flows import checks
from flows.server import START_SECONDS
from skinml.errors import RequestError, RunError, SkinmlError
from skinml.layout import check_workspace
from skinml.requests.up import UpRequest
from skinml.storage.urls import is_remote, normalise

logger = logging.getLogger("skinml.up")

SCHEDULED_SECONDS = 90.0
"""How long to wait for the server to schedule runs. Measured: 5 s, its services begin in turn."""


@dataclass(frozen=True)
class _Chosen:
    """What a checked request comes to."""

    workspace: str
    home: Home
    timezone: str
    address: Address
    plan: Plan
    values: dict[str, str]
    gpu_worker: bool
    database: str | None
    notify: str


def up(workspace: str, request: UpRequest) -> dict[str, Any]:
    """Serve until a signal: server, schedules and workers on this machine.

    Args:
        workspace: folder or s3://bucket/prefix of all scheduled runs.
        request: where the images are, when nights are, and how the server is reached.

    Raises:
        RequestError: nothing was started.
        RunError: the server did not start, and everything was stopped again.
    """
    workspace = check_workspace(workspace)
    home = Home(home_folder() if request.home is None else Path(request.home).expanduser().resolve())
    running = read_state(home.folder)
    if running is not None:
        return _already(running, workspace, home)
    chosen = _check(workspace, home, request)
    home.make()
    try:
        with locked(home) as free, signals.noted() as asked:
            if free:
                return _serve(chosen, request.auth, asked)
    except OSError as error:  # such as a full disk
        raise RunError(f"home {home.folder}: {error.strerror or error}; mend it, or give --home") from error
    running = read_state(home.folder)
    if running is None:
        raise RequestError(f"another skinml up is starting in {home.folder}: wait, or give another --home")
    return _already(running, workspace, home)


def _check(workspace: str, home: Home, request: UpRequest) -> _Chosen:
    """Refuse what is wrong while nothing is written or started."""
    checks.up(workspace, request)
    values = {
        "SKINML_WORKSPACE": workspace,
        "SKINML_ARCHIVE": normalise(request.archive) if request.archive else "",
        "SKINML_IMAGES": ",".join(map(normalise, request.images)),
        "SKINML_METADATA": ",".join(map(normalise, request.metadata)),
        "SKINML_MIN_NEW": str(request.min_new),
    }
    timezone = wrong.choose_timezone(request.timezone)
    if request.nightly is not None:
        wrong.check_cron(request.nightly, "--nightly")
    own = request.deployments is not None
    shipped = Path(request.deployments) if request.deployments else PREFECT_FILE
    plan = read_plan(shipped, values, request.nightly, None if own and request.timezone is None else timezone)
    values = named_variables(plan.file, os.environ) | values
    check_requests(plan, values)
    if request.database is not None:
        check_database(request.database)
    gpu_worker = wrong.wants_gpu_worker(request.gpu_worker, "gpu_worker" not in request.model_fields_set)
    address = wrong.choose_address(request.host, request.port)
    notify = request.notify or ""
    if request.home is not None:
        wrong.check_new_home(home.folder)
    return _Chosen(workspace, home, timezone, address, plan, values, gpu_worker, request.database, notify)


def _already(running: UpState, workspace: str, home: Home) -> dict[str, Any]:
    wrong.already_running(running, workspace, home)
    said = "already running, PID %d, UI at %s; to change its settings, stop it and start it with others"
    logger.info(said, running.pid, running.ui_url)
    return {"already_running": True, "pid": running.pid, "url": running.url, "ui_url": running.ui_url}


def _serve(chosen: _Chosen, with_auth: bool, asked: signals.Stop) -> dict[str, Any]:
    """Start everything, keep it running, and stop it."""
    home, address = chosen.home, chosen.address
    left = stop(home.folder)
    if left:
        logger.warning("%d processes of an earlier skinml up were still there, and were stopped", left)
    auth = choose_credentials(home, os.environ) if with_auth else None
    base = common(home, os.environ)
    client = client_environment(base, address.url, auth)
    api = Api(address.url, auth)
    server = children.server(server_environment(base, address, auth, chosen.database), home)
    workers = [children.worker(pool, client, home) for pool in chosen.plan.pools_here(chosen.gpu_worker)]
    begun = time.monotonic()
    with _stopped_at_the_end(home, api, server, workers, Watch(base, home)) as watch:
        logger.info("starting the Prefect server on %s; logs are in %s", address.ui_url, home.logs)
        server.start()
        if _is_ready(server, api, asked):
            with write_state(home, address.url, address.ui_url, chosen.workspace, auth is not None):
                _begin(chosen, api, client, auth)
                for worker in workers:
                    worker.start()
                _tell(chosen, api, auth, asked)
                _tend(home, api, server, workers, watch, asked)
        logger.info("stopping: %s", asked.by)
    seconds = round(time.monotonic() - begun, 1)
    return {
        **{"already_running": False, "pid": os.getpid(), "url": address.url, "ui_url": address.ui_url},
        **{"stopped_by": asked.by, "seconds": seconds},
    }


def _is_ready(server: Child, api: Api, asked: signals.Stop) -> bool:
    """Wait until the server answers. False if a signal came first.

    Raises:
        RunError: it ended, or it takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while not asked.is_asked:
        if not server.is_alive:
            server.finish()
            raise RunError(
                f"the Prefect server did not start: {why_not_started(server.last_lines)}; see {server.log}"
            )
        if api.is_ready():
            return True
        if time.monotonic() > deadline:
            raise RunError(f"the Prefect server did not answer within {START_SECONDS:.0f} s; see {server.log}")
        asked.wait(0.25)
    return False


def _begin(chosen: _Chosen, api: Api, client: dict[str, str], auth: str | None) -> None:
    """Before the workers are started: mend what a crash has left, deploy, make up for what was missed."""
    if not is_remote(chosen.workspace):  # a run refuses a folder that is missing: tasks/workspace.py
        Path(chosen.workspace).mkdir(parents=True, exist_ok=True)
    found = reconcile.reconcile(api, chosen.home.worker_name, running_flow_runs(chosen.home.folder))
    if found.crashed or found.skipped:
        logger.info("%d dead runs are Crashed now, %d missed runs Skipped", found.crashed, found.skipped)
    make_pools(api)
    deployed.bring_up_to_date(chosen.home, api, chosen.plan, client, chosen.values)
    _make_automations(api.url, auth, chosen.notify)
    reconcile.make_up(api, chosen.timezone)


def _make_automations(url: str, auth: str | None, notify: str) -> None:
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    from deployments.automations import ensure_automations

    with temporary_settings({PREFECT_API_URL: url, **({PREFECT_API_AUTH_STRING: auth} if auth else {})}):
        try:
            for line in ensure_automations(url, notify):
                logger.info("%s", line)
        except SkinmlError as error:  # the schedules work without
            logger.warning("automations: %s", error)


def _tell(chosen: _Chosen, api: Api, auth: str | None, asked: signals.Stop) -> None:
    """Say where the UI is, and what is scheduled when."""
    deadline = time.monotonic() + SCHEDULED_SECONDS
    runs = timetable.next_runs(api)
    while not all(runs.values()) and time.monotonic() < deadline and not asked.wait(0.5):
        runs = timetable.next_runs(api)
    logger.info("UI: %s", chosen.address.ui_url)
    if auth is not None:
        logger.info("it asks for what is in %s; verbs of this user read it there", chosen.home.secret)
    elif chosen.address.is_loopback:
        logger.info("every user of this machine can reach it; --auth lets in only who has the credentials")
    for line in timetable.in_words(
        {name: moments for name, moments in runs.items() if moments}, chosen.timezone
    ):
        logger.info("%s", line)
    for name in (name for name, moments in runs.items() if not moments and not asked.is_asked):
        logger.warning("%s: the server has scheduled no run in %.0f s; skinml doctor", name, SCHEDULED_SECONDS)
    for name, missing in chosen.plan.left_out.items():
        logger.info("%s is not deployed: it needs %s", name, " and ".join(map(_flag, missing)))
    if chosen.plan.nights_wait_for_retrainings:
        logger.warning("%s and %s are in one work pool: %s", NIGHTLY, RETRAIN, APART)
    waiting = [] if chosen.gpu_worker else chosen.plan.of_pool("gpu")
    if waiting:
        said = "%s: waits for a worker of the work pool gpu: give --gpu-worker, or start one on another machine"
        logger.info(said, ", ".join(waiting))
    logger.info("running; Ctrl-C stops everything")


def _tend(
    home: Home, api: Api, server: Child, workers: Sequence[Child], watch: Watch, asked: signals.Stop
) -> None:
    """Start again what dies, until a signal comes."""
    while not asked.wait(1.0):
        watch.tend()
        server.tend()
        restarted = [worker for worker in workers if worker.tend()]
        if restarted:
            # A flow outlives its worker, and reports its own end. One that died with it reports nothing.
            _tried(lambda: reconcile.crash_dead(api, home.worker_name, running_flow_runs(home.folder)))


@contextmanager
def _stopped_at_the_end(
    home: Home, api: Api, server: Child, workers: Sequence[Child], watch: Watch
) -> Iterator[Watch]:
    """Stop everything when the block ends: runs first, so that the server hears of their end."""
    try:
        yield watch
    finally:
        for worker in workers:  # asked to end, it would kill its run at once; held, it takes no other one
            worker.signal(signal.SIGSTOP)
        stop(home.folder, which=is_flow)
        for worker in workers:
            worker.signal(signal.SIGTERM)
            worker.signal(signal.SIGCONT)
            worker.finish()
        if server.is_alive:
            _tried(lambda: reconcile.crash_dead(api, home.worker_name, running_flow_runs(home.folder)))
        server.signal(signal.SIGTERM)
        stop(home.folder, seconds=8.0)
        server.finish()
        watch.finish()
        api.close()


def _tried(call: Callable[[], object]) -> None:
    try:
        call()
    except RunError as error:
        logger.warning("%s", error)


def _flag(variable: str) -> str:
    return f"--{variable.removeprefix('SKINML_').lower()}"
