"""Find runs that are stuck: dead without a row in `runs`, or running for longer than any run should."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from skinml.checkup.nights import CLOCK_SLACK, hours, spoken
from skinml.checkup.problems import Problem
from skinml.records.under_way import UnderWay

NAMED = 3


def stuck(found: Sequence[UnderWay], now: datetime, max_run: timedelta) -> list[Problem]:
    """Judge the records of running runs.

    Args:
        found: of `records.under_way.find_under_way`.
        now: UTC.
        max_run: how long a run may take.
    """
    dead = [one for one in found if not one.alive]
    slow = [one for one in found if one.alive and now - one.run.started_at > max_run]
    future = [one for one in found if one.run.started_at > now + CLOCK_SLACK]
    problems = []
    if dead:
        said = f"{_named(dead)}: died without recording the end; the next run does, and takes over its work"
        problems.append(Problem("dead", said, {"runs": len(dead)}))
    if slow:
        said = f"{_named(slow)}: running for more than {spoken(max_run)}; look at its log, or end its process"
        problems.append(Problem("stuck", said, {"runs": len(slow), "allowed": hours(max_run)}))
    if future:
        ahead = max(one.run.started_at for one in future) - now
        said = f"{_named(future)}: began {spoken(ahead)} in the future: a clock was wrong, here or there"
        problems.append(Problem("future", said, {"rows": len(future), "hours": hours(ahead)}))
    return problems


def _named(found: Sequence[UnderWay]) -> str:
    """The first runs with the place where they run, and how many more there are."""
    named = ", ".join(f"{one.run.run_id} ({one.where})" for one in found[:NAMED])
    return f"{named} and {len(found) - NAMED} more" if len(found) > NAMED else named
