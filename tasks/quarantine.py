"""Stages of a replay: what is in quarantine, what of it is still there, what is news."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from skinml import tables
from skinml.config import QuarantineRequest
from skinml.history import find_run
from skinml.quarantine import FLOWS, by_reason, in_quarantine
from skinml.runs import Counts
from skinml.scoring.known_bytes import read_known_bytes
from skinml.scoring.ledger import Ledger, make_ledger, read_scored
from skinml.scoring.predict import ScoringModel, ShardScored
from skinml.scoring.replay import Again
from skinml.scoring.replay import find_again as look_for
from skinml.scoring.replay import leave_known_failures as without_known
from skinml.scoring.resume import resume
from skinml.workspace import table_url
from tasks import artifacts
from tasks.score import New, count_compared
from tasks.shards import rejections
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
def find_again(workspace: str, images: pd.DataFrame, model: ScoringModel, folder: Path) -> tuple[Again, New]:
    """Which of them are there as they were, beside the state of `scores` that says which are scored."""
    before = tables.snapshot(workspace, "scores")
    again = look_for(workspace, images, model, folder / "pending.parquet")
    if again.of_prepare:
        logger.info("%d could not be used by prepare, which tries them again when it is run", again.of_prepare)
    if again.gone or again.replaced:
        logger.info("%d are gone; %d have new bytes, which the next score takes", again.gone, again.replaced)

    def known() -> Ledger:
        return make_ledger(read_scored(workspace, model.name, model.version))

    resumption = resume(workspace, model.origin("replay"), again.pending, known)
    scored = read_known_bytes(workspace, model.name, model.version, resumption.left)
    return again, New(again.pending, before, resumption, scored)


@dataclass(frozen=True, eq=False)
class Tried:
    """What came of the images that were tried: shards without what is no news, and all counts."""

    shards: Sequence[ShardScored]
    failed_again: int
    counts: Counts


@stage("leave out what is no news", tags=("storage",))
def leave_known_failures(
    workspace: str, shards: Sequence[ShardScored], images: pd.DataFrame, again: Again
) -> Tried:
    """No second row for the same failure of the same bytes: it counts as skipped."""
    news, failed_again = without_known(workspace, shards, images)
    done, other = sum(shard.scored for shard in news), rejections(news).total()
    logger.info(
        "%d can be scored now, %d fail for the same reason as before, %d for another", done, failed_again, other
    )
    same = count_compared(shards)["same"]  # scored under another etag
    skipped = again.of_prepare + again.gone + again.replaced + again.pending.skipped + same + failed_again
    return Tried(news, failed_again, Counts(len(images), skipped, done, other))


@stage("show the result")
def show_replayed(workspace: str, images: pd.DataFrame, result: dict[str, Any]) -> None:
    """What was tried and what came of it, in the Prefect UI."""
    shown = {key: value for key, value in result.items() if key != "rows"}
    artifacts.show_table("replay-counts", "What became of the images in quarantine.", [shown])
    artifacts.show_table("replay-tried", "What was in quarantine before.", by_reason(images))
    links = {name: table_url(workspace, name) for name in ("scores", "quarantine", "runs")}
    artifacts.show_links("replay-links", "Where the tables lie", links)
