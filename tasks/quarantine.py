"""Stages of `quarantine replay`: choose quarantined images, check that they exist, drop repeated failures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from skinml import tables
from skinml.models.registry import CHAMPION
from skinml.records.history import find_run
from skinml.records.quarantine import FLOWS, in_quarantine
from skinml.records.runs import Counts
from skinml.requests.scoring import QuarantineRequest
from skinml.scoring.counted import whose_rows_count
from skinml.scoring.known_bytes import read_known_bytes
from skinml.scoring.ledger import Ledger, make_ledger, read_scored
from skinml.scoring.predict import ScoringModel, ShardScored
from skinml.scoring.replay import Replayable
from skinml.scoring.replay import find_replayable as look_for
from skinml.scoring.replay import leave_known_failures as without_known
from skinml.scoring.resume import resume
from skinml.scoring.totals import Totals, add_up
from tasks.scores import New, say_scored_by_others
from tasks.stage import stage

logger = logging.getLogger("skinml.quarantine")


@stage("find the run", "find {run_id}")
def check_run(workspace: str, run_id: str) -> None:
    """Refuse a run_id that does not exist."""
    find_run(workspace, run_id, FLOWS)


@stage("choose from the quarantine")
def choose_images(workspace: str, request: QuarantineRequest) -> pd.DataFrame:
    """Return the quarantined image versions that the request selects."""
    images = in_quarantine(workspace, request.flow, request.reason, request.run)
    logger.info("%d images in the quarantine match", len(images))
    return images


@stage("find images that still exist")
def find_replayable(
    workspace: str, images: pd.DataFrame, model: ScoringModel, request: QuarantineRequest, folder: Path
) -> tuple[Replayable, New]:
    """Find the images that still exist unchanged and are not scored yet."""
    before = tables.snapshot(workspace, "scores")
    counted = whose_rows_count(workspace, model.key, request.model == CHAMPION)
    replayable = look_for(workspace, images, counted.models, folder / "pending.parquet")
    say_scored_by_others(replayable.pending, model)
    if replayable.of_prepare:
        logger.info("%d images are of prepare, which tries them again in its next run", replayable.of_prepare)
    if replayable.gone or replayable.replaced:
        logger.info(
            "%d images do not exist any more, %d have new bytes and are left to the next score",
            replayable.gone,
            replayable.replaced,
        )

    def known() -> Ledger:
        return make_ledger(read_scored(workspace, counted.models))

    resumption = resume(workspace, model.origin("replay"), replayable.pending, known)
    scored = read_known_bytes(workspace, counted.models, resumption.left)
    return replayable, New(replayable.pending, before, resumption, counted, scored)


@dataclass(frozen=True, eq=False)
class Tried:
    """The result of a replay: shards without repeated failures, and all counts."""

    shards: Sequence[ShardScored]
    totals: Totals
    failed_again: int
    counts: Counts


@stage("leave out repeated failures")
def leave_known_failures(
    workspace: str, shards: Sequence[ShardScored], images: pd.DataFrame, replayable: Replayable
) -> Tried:
    """Drop rows that repeat a failure of the same bytes; these images count as skipped."""
    news, failed_again = without_known(workspace, shards, images)
    left = add_up(news)
    done, other = left.scored, left.reasons.total()
    logger.info(
        "%d images are scored, %d failed for the same reason as before, %d for another",
        done,
        failed_again,
        other,
    )
    skipped = (
        replayable.of_prepare
        + replayable.gone
        + replayable.replaced
        + replayable.pending.skipped
        + left.same
        + failed_again
    )
    return Tried(news, left, failed_again, Counts(len(images), skipped, done, other))
