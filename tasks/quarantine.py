"""Stages of a replay: what is in quarantine, what of it is still there, what is news."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from skinml import tables
from skinml.records.history import find_run
from skinml.records.quarantine import FLOWS, in_quarantine
from skinml.records.runs import Counts
from skinml.requests.scoring import QuarantineRequest
from skinml.scoring.known_bytes import read_known_bytes
from skinml.scoring.ledger import Ledger, make_ledger, read_scored
from skinml.scoring.predict import ScoringModel, ShardScored
from skinml.scoring.replay import Replayable
from skinml.scoring.replay import find_replayable as look_for
from skinml.scoring.replay import leave_known_failures as without_known
from skinml.scoring.resume import resume
from skinml.scoring.totals import Totals, add_up
from tasks.scores import New
from tasks.stage import stage

logger = logging.getLogger("skinml.quarantine")


@stage("find the run", "find {run_id}", tags=("storage",))
def check_run(workspace: str, run_id: str) -> None:
    """Refuse a run that is not there."""
    find_run(workspace, run_id, FLOWS)


@stage("choose from the quarantine", tags=("storage",))
def choose_images(workspace: str, request: QuarantineRequest) -> pd.DataFrame:
    """The image versions that are in quarantine now and were asked for."""
    images = in_quarantine(workspace, request.flow, request.reason, request.run)
    logger.info("%d images in the quarantine match", len(images))
    return images


@stage("find what is still there", tags=("storage",))
def find_replayable(
    workspace: str, images: pd.DataFrame, model: ScoringModel, folder: Path
) -> tuple[Replayable, New]:
    """Which of them are there as they were, beside the state of `scores` that says which are scored."""
    before = tables.snapshot(workspace, "scores")
    replayable = look_for(workspace, images, model, folder / "pending.parquet")
    if replayable.of_prepare:
        logger.info(
            "%d could not be used by prepare, which tries them again when it is run", replayable.of_prepare
        )
    if replayable.gone or replayable.replaced:
        logger.info(
            "%d are gone; %d have new bytes, which the next score takes", replayable.gone, replayable.replaced
        )

    def known() -> Ledger:
        return make_ledger(read_scored(workspace, model.name, model.version))

    resumption = resume(workspace, model.origin("replay"), replayable.pending, known)
    scored = read_known_bytes(workspace, model.name, model.version, resumption.left)
    return replayable, New(replayable.pending, before, resumption, scored)


@dataclass(frozen=True, eq=False)
class Tried:
    """What came of the images that were tried: shards without what is no news, and all counts."""

    shards: Sequence[ShardScored]
    totals: Totals
    failed_again: int
    counts: Counts


@stage("leave out what is no news", tags=("storage",))
def leave_known_failures(
    workspace: str, shards: Sequence[ShardScored], images: pd.DataFrame, replayable: Replayable
) -> Tried:
    """No second row for the same failure of the same bytes: it counts as skipped."""
    news, failed_again = without_known(workspace, shards, images)
    left = add_up(news)
    done, other = left.scored, left.reasons.total()
    logger.info(
        "%d can be scored now, %d fail for the same reason as before, %d for another", done, failed_again, other
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
