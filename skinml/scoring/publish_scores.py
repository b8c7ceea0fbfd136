"""Publish a night exactly once: one commit of `scores` decides, quarantine and the run's row follow from it.

docs/exactly-once.md has the protocol and numbers the points at which a run may die.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from skinml import tables
from skinml.errors import RunError
from skinml.monitoring.health import Health
from skinml.process.crash_points import crash_point
from skinml.records.quarantine import quarantine_rows
from skinml.records.runs import Counts, Run, as_record
from skinml.scoring.conflicts import examine_quarantine, examine_scores
from skinml.scoring.follow_up import FollowUp, from_note, to_note
from skinml.scoring.predict import ScoringModel, ShardScored
from skinml.tables import Part, Snapshot

logger = logging.getLogger("skinml.commit")

COMMITS_BACK = 32
"""How many of the last commits are looked at for runs that died. Every run looks before it commits, so only the
commits of runs that were under way at once can pile up."""


@dataclass(frozen=True)
class Night:
    """What a run has to publish: its shards' parts, its counts, and the state of `scores` it began from."""

    run: Run
    model: ScoringModel
    shards: Sequence[ShardScored]
    counts: Counts
    before: Snapshot
    health: Health | None = None


@dataclass(frozen=True)
class Published:
    """The version of `scores` (None where nothing was ever scored), and the counts as they are in the end."""

    version: int | None
    counts: Counts


def publish_night(workspace: str, night: Night) -> Published:
    """Make a run's rows visible, at most once for its run_id, whatever other runs do at the same time.

    Rows that another run has committed since are left out and count as skipped. Called again after a failure,
    it goes on where it was.

    Raises:
        RunError: the counts do not add up, or a part is not there as it was written; nothing is committed then.
    """
    night.counts.check()
    scores = [shard.scores for shard in night.shards if shard.scores is not None]
    quarantine = [shard.quarantine for shard in night.shards if shard.quarantine is not None]
    if not (scores or quarantine):
        return Published(tables.version(workspace, "scores"), night.counts)
    tables.check_parts(workspace, "quarantine", quarantine)  # it follows the commit of `scores`
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
    """The parts that can be committed on top of this state of `scores`, and what must follow that commit."""
    counts = night.counts
    replaced = any(shard.replaced for shard in night.shards)
    if replaced or state.files - night.before.files:
        model = (night.model.name, night.model.version)
        # An image that was replaced has an etag that the plan did not ask for: any row may have it.
        examined = examine_scores(workspace, scores, model, None if replaced else night.before)
        wrong = examined.contradicted
        for uri, etag, detail in zip(wrong["uri"], wrong["etag"], wrong["detail"], strict=True):
            logger.error("%s (etag %s): %s; its row stands, ours goes to quarantine", uri, etag, detail)
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
            logger.info("%d images were scored by another run in the meantime", examined.known)
        scores = examined.parts
    health = health_columns(night.health)
    row = as_record(night.run, "completed", counts, night.model.version, **health)
    return scores, FollowUp(night.run.run_id, quarantine, row)


def health_columns(health: Health | None) -> dict[str, str | None]:
    """A night's health as columns of `runs`; null where nobody looked."""
    if health is None:
        return {"health": None, "health_detail": None}
    return {"health": health.verdict, "health_detail": health.to_json()}


def publish_quarantine(workspace: str, follow_up: FollowUp) -> Counts:
    """Publish the quarantine of a run whose scores are committed, once; the run's counts as they are then."""
    counts = follow_up.counts
    if not follow_up.quarantine:
        return counts

    def examine(_: Snapshot) -> tuple[Sequence[Part], str]:
        examined = examine_quarantine(workspace, follow_up.quarantine)
        return examined.parts, json.dumps({"run_id": follow_up.run_id, "known": examined.known})

    tables.publish(workspace, "quarantine", follow_up.quarantine, follow_up.run_id, examine)
    # From the commit itself, which an earlier try or another run may have made.
    said = map(json.loads, tables.notes(workspace, "quarantine", COMMITS_BACK))
    known = next((note["known"] for note in said if note["run_id"] == follow_up.run_id), 0)
    return replace(counts, quarantined=counts.quarantined - known, skipped=counts.skipped + known)


def unfinished_runs(workspace: str) -> list[FollowUp]:
    """Runs whose scores are committed and whose quarantine or row in `runs` is missing, the oldest first.

    A run that outlived its storage may have a row that says that it failed, and no quarantine.
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
    """Do for a run that died what its commit says must follow: publish its quarantine and its row in `runs`.

    A row that says that it failed stays. Should the run be alive after all and only slow, nothing is done
    twice: both carry its run_id.
    """
    counts = publish_quarantine(workspace, follow_up)
    crash_point(11)
    remark = f"died after its scores were committed; finished by {by}"
    tables.append(workspace, "runs", follow_up.row_with(counts, remark), follow_up.run_id)
    logger.warning(
        "run %s ended after its scores were committed: its quarantine and its row followed now",
        follow_up.run_id,
    )


def _follow_up_of(workspace: str, run_id: str) -> FollowUp:
    """What must follow a commit that an earlier try of this run has made."""
    for note in tables.notes(workspace, "scores", COMMITS_BACK):
        follow_up = from_note(note)
        if follow_up.run_id == run_id:
            return follow_up
    raise RunError(f"run {run_id}: its commit of scores is there but says nothing of what follows; report this")
