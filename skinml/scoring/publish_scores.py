"""Commit the results of a run exactly once: first `scores`, then its quarantine and its row in `runs`.

docs/exactly-once.md describes the protocol and numbers the points at which a run may die.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from skinml import tables
from skinml.errors import RunError
from skinml.monitoring.health import Health
from skinml.process.crash_points import crash_point
from skinml.records.quarantine import quarantine_rows
from skinml.records.runs import Counts, Run, as_record
from skinml.scoring.conflicts import examine_quarantine, examine_scores
from skinml.scoring.counted import Counted
from skinml.scoring.follow_up import FollowUp, from_note, to_note
from skinml.scoring.predict import ScoringModel, ShardScored
from skinml.tables import Part, Snapshot

logger = logging.getLogger("skinml.commit")

COMMITS_BACK = 32
"""This many of the latest commits are searched for runs that died. Every run searches before it commits, so
only commits of runs that ran at the same time can accumulate."""


@dataclass(frozen=True)
class Night:
    """What a run commits: its shards' parts, its counts, and what it started from.

    Attributes:
        run: the run.
        model: the model of its rows.
        shards: what the workers have returned.
        counts: of the listed images.
        before: the state of `scores` that the archive was compared with.
        counted: the models whose rows counted in that.
        health: of the run's images, if it was measured.
    """

    run: Run
    model: ScoringModel
    shards: Sequence[ShardScored]
    counts: Counts
    before: Snapshot
    counted: Counted
    health: Health | None = None


@dataclass(frozen=True)
class Published:
    """The version of `scores` (None if nothing was ever scored), and the final counts."""

    version: int | None
    counts: Counts


def publish_night(workspace: str, night: Night) -> Published:
    """Commit a run's rows, once for its run_id, whatever other runs do at the same time.

    Rows that another run has committed in the meantime are left out and count as skipped. If the call fails, it
    can be repeated and continues where it stopped.

    Raises:
        RunError: the counts do not add up, or a part is missing or damaged; nothing is committed.
    """
    night.counts.check()
    scores = [shard.scores for shard in night.shards if shard.scores is not None]
    quarantine = [shard.quarantine for shard in night.shards if shard.quarantine is not None]
    if not (scores or quarantine):
        return Published(tables.version(workspace, "scores"), night.counts)
    tables.check_parts(workspace, "quarantine", quarantine)  # now, because it is committed after `scores`
    follow_up: FollowUp | None = None

    def examine(state: Snapshot) -> tuple[Sequence[Part], str]:
        nonlocal follow_up
        left, follow_up = _still_to_publish(workspace, night, scores, quarantine, state)
        crash_point(7)
        return left, to_note(follow_up)

    version = tables.publish(workspace, "scores", scores, night.run.run_id, examine)
    crash_point(8)
    follow_up = follow_up or _follow_up_of(workspace, night.run.run_id)
    counts = publish_quarantine(workspace, follow_up)
    crash_point(9)
    return Published(version, counts)


def _still_to_publish(
    workspace: str, night: Night, scores: Sequence[Part], quarantine: Sequence[Part], state: Snapshot
) -> tuple[Sequence[Part], FollowUp]:
    """Return the parts to commit on top of this state of `scores`, and the steps after that commit."""
    counts = night.counts
    replaced = any(shard.replaced for shard in night.shards)
    counted = night.counted.renewed(workspace) if scores else night.counted
    promoted = counted != night.counted
    if replaced or promoted or state.files - night.before.files:
        # A replaced image has an etag that the listing did not have, so any existing row may have it too. Of a
        # champion that was promoted in the meantime, no row was compared yet.
        before = None if replaced or promoted else night.before
        examined = examine_scores(workspace, scores, counted.models, before)
        wrong = examined.contradicted
        for uri, etag, detail in zip(wrong["uri"], wrong["etag"], wrong["detail"], strict=True):
            logger.error("%s (etag %s): %s; its row stays, ours is quarantined", uri, etag, detail)
        if len(wrong):
            rows = quarantine_rows(wrong, night.run.flow, night.run.run_id)
            quarantine = [
                *quarantine,
                tables.write_part(workspace, "quarantine", rows, f"{night.run.run_id}-other-bytes"),
            ]
        counts = replace(
            counts,
            done=counts.done - examined.known,
            skipped=counts.skipped + examined.known - len(wrong),
            quarantined=counts.quarantined + len(wrong),
        )
        counts.check()
        if examined.known:
            logger.info("another run has scored %d of these images in the meantime", examined.known)
        scores = examined.parts
    health = health_columns(night.health)
    row = as_record(night.run, "completed", counts, night.model.version, **health)
    return scores, FollowUp(night.run.run_id, quarantine, row)


def health_columns(health: Health | None) -> dict[str, Any]:
    """Return a run's health as columns of `runs`; null if it was not measured."""
    if health is None:
        return {"health": None, "health_detail": None}
    return {"health": health.verdict, "health_detail": health.to_json()}


def publish_quarantine(workspace: str, follow_up: FollowUp) -> Counts:
    """Commit the quarantine of a run whose scores are committed, once; return the run's final counts."""
    counts = follow_up.counts
    if not follow_up.quarantine:
        return counts

    def examine(_: Snapshot) -> tuple[Sequence[Part], str]:
        examined = examine_quarantine(workspace, follow_up.quarantine)
        return examined.parts, json.dumps({"run_id": follow_up.run_id, "known": examined.known})

    tables.publish(workspace, "quarantine", follow_up.quarantine, follow_up.run_id, examine)
    # Read from the commit itself, which an earlier attempt or another run may have made.
    said = map(json.loads, tables.notes(workspace, "quarantine", COMMITS_BACK))
    known = next((note["known"] for note in said if note["run_id"] == follow_up.run_id), 0)
    return replace(counts, quarantined=counts.quarantined - known, skipped=counts.skipped + known)


def unfinished_runs(workspace: str) -> list[FollowUp]:
    """Return runs with committed scores whose quarantine or row in `runs` is missing, the oldest first.

    If storage failed after a run's commit, the run may have a row that says `failed`, and no quarantine.
    """
    found = [from_note(note) for note in tables.notes(workspace, "scores", COMMITS_BACK)]
    ids = [follow_up.run_id for follow_up in found]
    recorded = tables.transactions(workspace, "runs", ids)
    quarantined = tables.transactions(workspace, "quarantine", ids)
    return [
        follow_up
        for follow_up in reversed(found)
        if follow_up.run_id not in recorded or (follow_up.quarantine and follow_up.run_id not in quarantined)
    ]


def finish(workspace: str, follow_up: FollowUp, by: str) -> None:
    """Finish a run that died after its commit: commit its quarantine and its row in `runs`.

    A row that says `failed` stays. If the run is still alive and only slow, nothing is written twice, because
    both commits carry its run_id.
    """
    counts = publish_quarantine(workspace, follow_up)
    crash_point(11)
    remark = f"died after its scores were committed; finished by {by}"
    tables.append(workspace, "runs", follow_up.row_with(counts, remark), follow_up.run_id)
    logger.warning(
        "run %s died after its scores were committed; its quarantine and its row in runs are written now",
        follow_up.run_id,
    )


def _follow_up_of(workspace: str, run_id: str) -> FollowUp:
    """Read the follow-up of a commit that an earlier attempt of this run has made."""
    for note in tables.notes(workspace, "scores", COMMITS_BACK):
        follow_up = from_note(note)
        if follow_up.run_id == run_id:
            return follow_up
    raise RunError(f"run {run_id}: its commit of scores exists but has no follow-up note; report this")
