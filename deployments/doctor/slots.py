"""Is anything of Prefect still held by runs that are dead: concurrency slots, leases, runs that never end?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deployments.doctor.server import Server
from skinml.checkup.checks import Finding, failed, ok, warning

LONGEST_RUN = timedelta(hours=24)
"""As `status --max-run`."""

MEMORY = "prefect.server.concurrency.lease_storage.memory"


def check_slots(server: Server) -> Finding:
    """No slot of a deployment of ours is held while none of its runs is running."""
    limited = [one for one in server.deployments if one.get("global_concurrency_limit")]
    if not limited:
        return ok("no deployment has a concurrency limit: none can be held by a dead run")
    running = _running(server)
    held = []
    for one in limited:
        taken = one["global_concurrency_limit"]["active_slots"]
        alive = sum(run["deployment_id"] == one["id"] for run in running)
        if taken > alive:
            held.append(f"{one['name']} ({taken} taken, {alive} running)")
    if held:
        return failed(
            f"slots are held by runs that are gone: {', '.join(held)}; later runs are cancelled or wait",
            "deploy again without concurrency_limit (prefect deploy --all), or prefect gcl update NAME"
            " --active-slots 0",
        )
    names = ", ".join(str(one["name"]) for one in limited)
    return warning(
        f"{names}: has a concurrency limit, whose slot a crash can hold", "deploy again: ours have none"
    )


def check_leases(server: Server) -> Finding:
    """Leases survive the server, if any deployment needs them."""
    storage = server.api.get("/admin/settings")["server"]["concurrency"]["lease_storage"]
    if storage != MEMORY:
        return ok(f"leases are kept by {storage}")
    if any(one.get("global_concurrency_limit") for one in server.deployments):
        return warning(
            "leases are kept in the server's memory: a restart leaves slots taken",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem",
        )
    return ok("leases are kept in memory, and nothing of ours needs one")


def check_runs(server: Server) -> Finding:
    """No run of ours has been Running or Pending for longer than a run may take."""
    before = datetime.now(UTC) - LONGEST_RUN
    old = [run for run in _running(server) if datetime.fromisoformat(run["state"]["timestamp"]) < before]
    if old:
        names = ", ".join(str(run["id"]) for run in old[:3])
        return warning(
            f"{len(old)} runs have been Running or Pending for more than 24 h: {names}",
            "they are probably dead: cancel them in the UI; skinml up does it when it starts",
        )
    return ok("no run is stuck in the UI")


def _running(server: Server) -> list[dict[str, Any]]:
    return server.api.all(
        "/flow_runs/filter",
        flow_runs={
            "state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}},
            "tags": {"all_": ["skinml"]},
        },
    )
