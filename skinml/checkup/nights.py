"""Judge the rows of `runs`: when did the last good night end, has tonight drifted, does the quarantine rise?

A night is a scheduled scoring of the whole archive: a run of `score` with the champion, without --backfill,
--since, --until and --limit. A good night is one that completed. Pure functions on rows; no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from skinml.checkup.problems import Problem
from skinml.monitoring.chi_squared import homogeneity

COLUMNS = [
    *("run_id", "flow", "status", "started_at", "finished_at", "done", "quarantined"),
    *("parameters", "error", "health", "health_detail"),
]
"""The columns of `runs` that these functions read."""

PARTIAL = ("backfill", "since", "until", "limit")
"""Parameters of a run of `score` that does not look at the whole archive."""

CLOCK_SLACK = timedelta(minutes=5)
"""Clocks of machines in use differ by seconds. A row that is further in the future was written by a wrong
one."""

RECENT, EARLIER = 3, 30
"""Nights with new images: the last RECENT are compared with at most EARLIER before them."""

FEWEST_IMAGES = 50
"""New images that both groups of nights must have."""

FEWEST_REJECTED = 5
"""Rejected images that the recent nights must have: fewer are somebody's broken files."""

RISE = 0.05
"""The quarantine rises if the rejected fraction has grown by this much or more, and not by chance."""

LEVEL = 0.001
"""The probability that it grew by chance (chi-squared test of homogeneity), below which it is believed: as for
drift (`monitoring.health`), a false alarm every three years."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Nights:
    """The nights of one workspace, the oldest first, without rows that are dated in the future.

    Attributes:
        good: nights that completed.
        others: all other runs of `score` that were nights.
        future: rows of any flow that are dated in the future, which count for nothing else.
    """

    good: Sequence[Row]
    others: Sequence[Row]
    future: Sequence[Row]


def sort_nights(rows: Sequence[Row], now: datetime, is_archive: Callable[[str], bool]) -> Nights:
    """Sort the rows of `runs`.

    Args:
        rows: rows with COLUMNS, in any order.
        now: UTC.
        is_archive: whether this archive, as its run was asked for it, is the one that is watched.
    """
    ordered = sorted(rows, key=lambda row: row["finished_at"])
    future = [row for row in ordered if row["finished_at"] > now + CLOCK_SLACK]
    past = [row for row in ordered if row["finished_at"] <= now + CLOCK_SLACK]
    nights = [row for row in past if row["flow"] == "score" and _is_night(row, is_archive)]
    good = [row for row in nights if row["status"] == "completed"]
    return Nights(good, [row for row in nights if row["status"] != "completed"], future)


def _is_night(row: Row, is_archive: Callable[[str], bool]) -> bool:
    try:
        asked = json.loads(row["parameters"] or "{}")
    except ValueError:  # written by somebody else
        return False
    if not isinstance(asked, dict) or any(asked.get(name) for name in PARTIAL):
        return False
    return asked.get("model", "champion") == "champion" and is_archive(str(asked.get("archive", "")))


def lateness(nights: Nights, now: datetime, max_age: timedelta) -> list[Problem]:
    """Nothing was ever scored, or the last good night ended longer ago than `max_age`."""
    if not nights.good:
        failed = f"; the last try, {nights.others[-1]['run_id']}, failed" if nights.others else ""
        return [Problem("never", f"no night has completed yet{failed}; run skinml score")]
    last = nights.good[-1]
    age = now - last["finished_at"]
    if age <= max_age:
        return []
    since = [row for row in nights.others if row["finished_at"] > last["finished_at"]]
    failed = f"; since then {len(since)} failed, the last one with: {_error(since[-1])}" if since else ""
    return [
        Problem(
            "late",
            f"the last good night, {last['run_id']}, ended {spoken(age)} ago, at"
            f" {last['finished_at']:%Y-%m-%dT%H:%M:%SZ}; {spoken(max_age)} are allowed{failed}",
            {"hours": hours(age), "allowed": hours(max_age)},
        )
    ]


def drift(nights: Nights, now: datetime, max_age: timedelta) -> list[Problem]:
    """The last night whose images could be judged has drifted, and it is not older than `max_age`.

    A later night with too few images to be judged does not take the warning away.
    """
    judged = [row for row in nights.good if row["health"] in ("usual", "drifted")]
    if not judged or judged[-1]["health"] != "drifted" or now - judged[-1]["finished_at"] > max_age:
        return []
    return [Problem("drifted", f"{judged[-1]['run_id']} has drifted: {_sentence(judged[-1])}")]


def rising_quarantine(nights: Nights) -> list[Problem]:
    """The recent nights rejected more of their new images than the nights before, and not by chance."""
    rejecting = [row for row in nights.good if (row["done"] or 0) + (row["quarantined"] or 0) > 0]
    recent, earlier = rejecting[-RECENT:], rejecting[-RECENT - EARLIER : -RECENT]
    now, before = _counts(recent), _counts(earlier)
    if min(now.sum(), before.sum()) < FEWEST_IMAGES or now[1] < FEWEST_REJECTED:
        return []
    fractions = now[1] / now.sum(), before[1] / before.sum()
    if fractions[0] - fractions[1] < RISE or homogeneity(now, before)[1] >= LEVEL:
        return []
    return [
        Problem(
            "quarantine",
            f"{fractions[0]:.0%} of the {now.sum():,} new images of the last {len(recent)} nights could not be"
            f" used, {fractions[1]:.0%} of {before.sum():,} before; see skinml quarantine",
            {"recent": float(fractions[0]), "images": int(now.sum()), "earlier": float(fractions[1])},
        )
    ]


def from_the_future(nights: Nights, now: datetime) -> list[Problem]:
    """Rows are dated in the future: a clock was wrong, here or where they were written."""
    if not nights.future:
        return []
    ahead = nights.future[-1]["finished_at"] - now
    return [
        Problem(
            "future",
            f"{len(nights.future)} of the rows of runs are dated in the future, the last one"
            f" ({nights.future[-1]['run_id']}) by {spoken(ahead)}: a clock was wrong, here or there; they are"
            " no nights",
            {"rows": len(nights.future), "hours": hours(ahead)},
        )
    ]


def hours(duration: timedelta) -> float:
    """A duration in hours."""
    return duration.total_seconds() / 3600


def spoken(duration: timedelta) -> str:
    """A duration as people say it: 31 h, 5.4 days, 12 min.

    Example:
        >>> spoken(timedelta(hours=31)), spoken(timedelta(days=5, hours=10)), spoken(timedelta(minutes=12))
        ('31 h', '5.4 days', '12 min')
    """
    seconds = duration.total_seconds()
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 72 * 3600:
        return f"{seconds / 3600:.3g} h"
    days = f"{seconds / 86400:.1f}".removesuffix(".0")
    return f"{days} days"


def _counts(rows: Sequence[Row]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The usable and the rejected images of some nights."""
    return np.array([sum(row[name] or 0 for row in rows) for name in ("done", "quarantined")], dtype=np.int64)


def _sentence(row: Row) -> str:
    try:
        said = json.loads(row["health_detail"])["sentence"]
    except (ValueError, TypeError, KeyError):
        said = "its images differ from those the model was tested on"
    return " ".join(str(said).split())[:400]


def _error(row: Row) -> str:
    return " ".join(str(row["error"]).split())[:200]
