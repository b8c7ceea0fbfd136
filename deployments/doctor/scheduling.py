"""Does the server schedule? With SQLAlchemy 2.1 it never does, and calls itself healthy all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deployments.doctor.server import Server
from skinml.checkup.checks import Finding, failed, ok, warning

FRESH = timedelta(minutes=3)
"""A server looks at new schedules every minute; one that has just been deployed may not have been seen."""


def check_scheduling(server: Server) -> Finding:
    """Every deployment with an active schedule has a run in the future."""
    active = [one for one in server.deployments if not one["paused"] and _is_active(one)]
    if not active:
        return warning("no deployment has an active schedule", "skinml up, or prefect deploy --all")
    now = datetime.now(UTC)
    planned: dict[str, datetime] = {}
    for run in server.api.all(
        "/flow_runs/filter",
        flow_runs={
            "deployment_id": {"any_": [one["id"] for one in active]},
            "state": {"type": {"any_": ["SCHEDULED"]}},
            "next_scheduled_start_time": {"after_": now.isoformat()},
        },
        sort="NEXT_SCHEDULED_START_TIME_ASC",
    ):
        when = datetime.fromisoformat(run["next_scheduled_start_time"])
        planned.setdefault(run["deployment_id"], when)
    missing = [one for one in active if one["id"] not in planned]
    if missing:
        names = ", ".join(str(one["name"]) for one in missing)
        if all(now - datetime.fromisoformat(one["updated"]) < FRESH for one in missing):
            return warning(f"{names}: deployed just now, no run is scheduled yet", "ask again in 3 minutes")
        return failed(
            f"{names}: the schedule is active, but the server has scheduled no run",
            "see the log of the server; it must have sqlalchemy<2.1; restart it",
        )
    name = {one["id"]: one["name"] for one in active}
    first = min(planned, key=lambda key: planned[key])
    return ok(f"{len(active)} schedules; next is {name[first]} at {planned[first]:%Y-%m-%d %H:%M} UTC")


def _is_active(deployment: dict[str, Any]) -> bool:
    return any(schedule["active"] for schedule in deployment["schedules"])
