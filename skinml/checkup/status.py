"""The health of a workspace, read from its tables alone: it works when the orchestrator is what broke."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from skinml import tables
from skinml.checkup import nights
from skinml.checkup.archive import archive_of
from skinml.checkup.champion import champion_problems
from skinml.checkup.problems import Problem
from skinml.checkup.running import stuck
from skinml.errors import RequestError, RunError, SkinmlError, StorageError
from skinml.records.under_way import find_under_way
from skinml.storage.connection import http_status
from skinml.storage.objects import names
from skinml.storage.urls import normalise


@dataclass(frozen=True)
class Status:
    """What is known about a workspace.

    Attributes:
        problems: why it is not healthy; empty if it is.
        last_completed: when the last good night ended (UTC); None if there was none, or it is not known.
        champion: the champion's version; None likewise.
        running: run_ids of the runs that are alive.
        last_night: counts of the last good night.
        notes: what people should know, and what is no problem.
        archive: the archive of the last good night, as it was asked for.
    """

    problems: Sequence[Problem]
    last_completed: datetime | None = None
    champion: str | None = None
    running: Sequence[str] = ()
    last_night: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    archive: str | None = None


def read_status(
    workspace: str,
    now: datetime,
    max_age: timedelta,
    max_run: timedelta,
    archive: str | None = None,
    was_there: bool = False,
) -> Status:
    """Read the health of a workspace.

    Args:
        workspace: normalised URL.
        now: UTC.
        max_age: how long ago the last good night may have ended.
        max_run: how long a run may take.
        archive: watch the nights of this archive alone; None: of all archives together.
        was_there: whether an earlier check has seen this workspace. If so, its absence is a problem.

    Raises:
        RequestError: nothing has ever run in this workspace, as far as is known.
    """
    try:
        there = _is_there(workspace, was_there)
    except StorageError as error:
        return Status([Problem("storage", str(error))])
    if not there:
        said = f"workspace {workspace}: nothing has run there yet; check the name"
        if not was_there:
            raise RequestError(said)
        return Status(
            [Problem("missing", f"workspace {workspace}: is not there any more; is its disk mounted?")]
        )
    return _read(workspace, now, max_age, max_run, _watched(archive))


def _is_there(workspace: str, was_there: bool) -> bool:
    """Whether runs have left rows here.

    A refusal is a StorageError: credentials may have expired. So is any other answer about a workspace that
    was there: its bucket is gone, or a login page answers instead of it.
    """
    try:
        return "runs" in names(workspace)
    except RequestError as error:
        refused = http_status(error.__cause__ or error) in (401, 403)
        if was_there or refused or isinstance(error.__cause__, PermissionError):
            raise StorageError(str(error)) from error
        raise


def _watched(archive: str | None) -> Callable[[str], bool]:
    """Whether an archive, as a run was asked for it, is the one that is watched."""
    if archive is None:
        return lambda _: True
    wanted = normalise(archive)

    def is_watched(asked: str) -> bool:
        try:
            return normalise(asked) == wanted
        except RequestError:  # such as a relative folder that is gone
            return False

    return is_watched


def _read(
    workspace: str, now: datetime, max_age: timedelta, max_run: timedelta, is_archive: Callable[[str], bool]
) -> Status:
    problems: list[Problem] = []
    found = nights.Nights((), (), ())
    running: Sequence[str] = ()
    champion = None
    try:
        rows = tables.read(workspace, "runs", nights.COLUMNS).to_pylist()
        found = nights.sort_nights(rows, now, is_archive)
        problems += nights.from_the_future(found, now)
        problems += nights.lateness(found, now, max_age)
        problems += nights.drift(found, now, max_age)
        problems += nights.rising_quarantine(found)
    except SkinmlError as error:
        problems.append(_unreadable(error))
    try:
        under_way = find_under_way(workspace, now)
        problems += stuck(under_way, now, max_run)
        running = [one.run.run_id for one in under_way if one.alive]
        champion, wrong = champion_problems(workspace)
        problems += wrong
    except SkinmlError as error:
        problems.append(_unreadable(error))
    last = found.good[-1] if found.good else None
    return Status(
        tuple({(one.kind, one.detail): one for one in problems}.values()),
        None if last is None else last["finished_at"],
        champion,
        running,
        {} if last is None else {name: last[name] for name in ("run_id", "done", "quarantined", "health")},
        _notes(found),
        archive_of(last),
    )


def _unreadable(error: SkinmlError) -> Problem:
    return Problem("table" if isinstance(error, (RunError, RequestError)) else "storage", str(error))


def _notes(found: nights.Nights) -> list[str]:
    """Nights that failed after the last good one: `max_age` decides when that is a problem."""
    last = found.good[-1]["finished_at"] if found.good else None
    since = [row for row in found.others if last is None or row["finished_at"] > last]
    if not since:
        return []
    error = " ".join(str(since[-1]["error"]).split())[:200]
    return [f"failed since the last good night: {len(since)}; the last one, {since[-1]['run_id']}: {error}"]
