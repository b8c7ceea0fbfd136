"""The verb `doctor`: run every check that applies here, and give a row for each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from deployments.doctor import definitions, scheduling, slots, workers
from deployments.doctor.cluster import check_cluster
from deployments.doctor.server import Server, find_server
from flows.local_server import home_folder
from skinml.checkup.checks import Finding, rows_of, run_checks, warning, worst
from skinml.checkup.installation import check_disk, check_gpu, check_versions
from skinml.checkup.places import (
    bucket_server,
    check_archive_access,
    check_champion,
    check_clock,
    check_workspace_access,
)
from skinml.errors import RequestError, SkinmlError
from skinml.requests.operations import DoctorRequest
from skinml.storage.urls import is_remote, normalise

Check = Callable[[], Finding]


def doctor(workspace: str, request: DoctorRequest) -> dict[str, Any]:
    """Check installation, server, deployments, workspace and archive. Exit code 1 if something has failed.

    Args:
        workspace: folder or s3://bucket/prefix; "" to check everything else.
        request: archive, cluster and deadline.
    """
    server, found = find_server()
    checks: dict[str, Check] = {"versions": check_versions, "disk": partial(_disk, workspace), "gpu": check_gpu}
    if server is not None:
        checks |= _of_server(server, workspace)
    if workspace:
        checks |= {
            "workspace": partial(check_workspace_access, workspace),
            "champion": partial(check_champion, workspace),
        }
    if request.archive is not None:
        checks["archive"] = partial(check_archive_access, workspace or None, request.archive)
    if request.cluster is not None:
        checks["cluster"] = partial(check_cluster, request.cluster, request.timeout)
    checks["clock"] = partial(_clock, workspace, server)
    rows = run_checks(checks, request.timeout)
    if server is not None:
        server.api.close()
    rows[1:1] = rows_of({"server": found})
    if not workspace:
        missing = warning("no workspace was given: it is not checked", "skinml --workspace URL doctor")
        rows += rows_of({"workspace": missing})
    return {"checks": rows, **worst(rows), "server": None if server is None else server.url}


def _of_server(server: Server, workspace: str) -> dict[str, Check]:
    return {
        "scheduling": partial(scheduling.check_scheduling, server),
        "workers": partial(workers.check_workers, server),
        "deployments": partial(definitions.check_deployments, server, workspace),
        "slots": partial(slots.check_slots, server),
        "leases": partial(slots.check_leases, server),
        "runs": partial(slots.check_runs, server),
        "automations": partial(workers.check_automations, server),
    }


def _disk(workspace: str) -> Finding:
    folders = [home_folder()]
    try:
        place = normalise(workspace) if workspace else ""
    except RequestError:  # said by the check of the workspace
        place = ""
    return check_disk([*folders, *([Path(place)] if place and not is_remote(place) else [])])


def _clock(workspace: str, server: Server | None) -> Finding:
    try:
        servers = bucket_server(workspace or None)
    except SkinmlError:  # said by the check of the workspace
        servers = []
    return check_clock([*servers, *([] if server is None else [f"{server.url}/health"])])
