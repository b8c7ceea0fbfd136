"""Say what is scheduled when, as the server sees it: proof that it schedules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from deployments.up.api import Api
from deployments.up.reconcile import TAG, moment

NEXT = 3


def next_runs(api: Api) -> dict[str, list[datetime]]:
    """The next runs of each of our deployments with an active schedule; an empty list if none is scheduled."""
    deployments = api.all("/deployments/filter", deployments={"tags": {"all_": [TAG]}})
    names = {
        one["id"]: str(one["name"])
        for one in deployments
        if not one["paused"] and any(schedule["active"] for schedule in one["schedules"])
    }
    found: dict[str, list[datetime]] = {name: [] for name in names.values()}
    if not names:
        return found
    scheduled = {"state": {"type": {"any_": ["SCHEDULED"]}}, "deployment_id": {"any_": list(names)}}
    by_name: dict[str, list[datetime]] = defaultdict(list)
    for run in api.all("/flow_runs/filter", flow_runs=scheduled, sort="EXPECTED_START_TIME_ASC"):
        by_name[names[run["deployment_id"]]].append(moment(run["expected_start_time"]))
    return {name: by_name[name][:NEXT] for name in found}


def in_words(runs: dict[str, list[datetime]], timezone: str) -> Iterator[str]:
    """A line for each deployment: its name and its next runs in local time."""
    zone = ZoneInfo(timezone)
    width = max(map(len, runs), default=0)
    for name, moments in sorted(runs.items(), key=lambda item: item[1][:1]):
        times = ", ".join(f"{moment.astimezone(zone):%a %d %b %H:%M}" for moment in moments)
        yield f"{name:<{width}}  {times} ({timezone})"
