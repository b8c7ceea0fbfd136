"""Stages of `score`: find new images, score them on Dask workers, judge the run's health, commit."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from skinml import tables
from skinml.compute import connect, width
from skinml.errors import RunError, SkinmlError
from skinml.layout import Archive
from skinml.models.registry import CHAMPION
from skinml.monitoring.health import DRIFTED, Health, compare
from skinml.monitoring.tally import Tally
from skinml.process.crash_points import crash_point
from skinml.records.max_quarantined import check_quarantined
from skinml.records.quarantine import failures_of_archives
from skinml.records.runs import Counts, Run
from skinml.records.unpublished import delete_failures, delete_records
from skinml.requests.base import ClusterRequest
from skinml.requests.scoring import ScoreRequest
from skinml.scoring.adopt import AdoptJob, adopt_jobs, run_job
from skinml.scoring.counted import Counted, whose_rows_count
from skinml.scoring.known_bytes import KnownBytes, add_known_bytes, read_known_bytes
from skinml.scoring.known_etags import publish_known_etags, read_known_etags
from skinml.scoring.ledger import make_ledger, read_quarantined, read_scored
from skinml.scoring.pending import Pending, Window, find_pending
from skinml.scoring.predict import (
    ScoreJob,
    ScoringModel,
    ShardScored,
    images_per_shard,
    most_shards,
    score_jobs,
)
from skinml.scoring.publish_scores import Night, Published, publish_night
from skinml.scoring.refuse import refuse_other_bytes
from skinml.scoring.resume import Resumption, resume
from skinml.scoring.totals import Totals
from skinml.storage.list_ahead import list_ahead
from skinml.storage.listed import in_words
from skinml.tables import Snapshot
from skinml.words import several
from tasks.cluster import workspace_check
from tasks.listing import warn_of_passed_over
from tasks.shards import rejected_rows, run_shards
from tasks.stage import stage

logger = logging.getLogger("skinml.scores")


@dataclass(frozen=True, eq=False)
class New:
    """The images to read in this run.

    Attributes:
        pending: images that are new or to be rechecked.
        before: the state of `scores` that the archive was compared with.
        resumption: rows of interrupted runs to take over.
        counted: the models whose rows count.
        known: the bytes that have a row already.
    """

    pending: Pending
    before: Snapshot
    resumption: Resumption
    counted: Counted
    known: KnownBytes
    roots: tuple[str, ...] | None = None  # the archive; None if the archive of the images is not known


@stage("find new images", "find images that {model.version} has not scored")
def find_new(workspace: str, archive: Archive, model: ScoringModel, request: ScoreRequest, folder: Path) -> New:
    """List the archive, without what is scored and what is permanently quarantined.

    Scored by any champion, present or past; in a backfill or with a named version, by this version. With
    --recheck those images are included, to be read again and compared.
    """
    counted = whose_rows_count(workspace, model.key, request.model == CHAMPION and not request.backfill)
    with list_ahead(archive.url, archive.left_out) as listing:  # while storage lists, the tables are read
        before = tables.snapshot(workspace, "scores")
        scored, remembered = (read(workspace, counted.models) for read in (read_scored, read_known_etags))
        ledger = make_ledger(chain(scored, remembered, read_quarantined(workspace)))
        window = Window(request.since, request.until, request.limit)
        pending = find_pending(listing, ledger, window, folder / "pending.parquet", request.recheck)
    logger.info(
        "%d images listed, passed over: %s; %d %s, %d skipped",
        *(pending.listed, in_words(pending.passed_over), pending.images),
        *("new or to be rechecked" if request.recheck else "new", pending.skipped),
    )
    warn_of_passed_over(archive.url, pending.passed_over)
    if pending.outside_window or pending.beyond_limit:
        logger.info(
            "%d of the skipped images are outside --since and --until, %d are beyond --limit",
            *(pending.outside_window, pending.beyond_limit),
        )
    if not request.recheck:
        say_scored_by_others(pending, model)
    resumption = resume(workspace, model.origin("score"), pending, lambda: ledger)
    compared_with = ledger if request.recheck else None
    known = read_known_bytes(workspace, counted.models, resumption.left, compared_with)
    return New(pending, before, resumption, counted, known, (archive.url,))


def say_scored_by_others(pending: Pending, model: ScoringModel) -> None:
    """Say how many images are skipped because an earlier champion has scored them."""
    if pending.by_others:
        logger.info(
            "%d images already scored by an earlier champion: skipped; score --backfill adds rows of %s",
            *(pending.by_others, model.version),
        )


def refuse(workspace: str, new: New, run: Run) -> list[ShardScored]:
    """Quarantine images whose uri and etag are in the tables with another size."""
    return _refuse(workspace, new, run) if new.pending.other_bytes.num_rows else []


@stage("refuse other bytes")
def _refuse(workspace: str, new: New, run: Run) -> list[ShardScored]:
    return refuse_other_bytes(workspace, new.pending.other_bytes, run.flow, run.run_id)


# Not retried as a whole, because each shard is retried alone.
@stage("score shards", "score with {model.version}", retried=False)
def score_images(
    workspace: str, new: New, model: ScoringModel, cluster: ClusterRequest, run: Run
) -> list[ShardScored]:
    """Decode and predict the new images on Dask workers; take over rows of interrupted runs."""
    crash_point(2)
    pending = new.pending
    if not pending.images:
        return []
    adoptions, left = new.resumption.adoptions, new.resumption.left
    with connect(cluster.cluster, cluster.workers, len(adoptions) + most_shards(left.images)) as client:
        each = images_per_shard(left.images, width(client, cluster.workers))
        shards = len(adoptions) + math.ceil(left.images / each)
        images = add_known_bytes(left.read(each), new.known)
        jobs: Iterable[ScoreJob | AdoptJob] = chain(
            adopt_jobs(adoptions, workspace, model, run.run_id, run.started_at.date()),
            score_jobs(
                *(images, workspace, model, run.run_id, run.started_at.date(), run.flow, new.roots),
                counted=new.counted.models,
            ),
        )
        description = f"score {several(pending.images, 'image')}"
        sees = workspace_check(workspace, cluster, run)
        return run_shards(client, run_job, jobs, shards, "score-progress", description, sees)


@stage("commit the scores")
def commit_scores(
    workspace: str,
    shards: Sequence[ShardScored],
    totals: Totals,
    counts: Counts,
    new: New,
    model: ScoringModel,
    health: Health | None,
    run: Run,
    most_quarantined: float = 1.0,
) -> Published:
    """Check that no image was lost and not too many are bad, then commit scores and quarantine."""
    crash_point(6)
    try:
        check_quarantined(
            *(workspace, run.run_id, totals.reasons, totals.scored + totals.same, most_quarantined),
            rows=partial(rejected_rows, workspace, shards),
            what="images" if totals.same else "new images",
            known=partial(failures_of_archives, workspace),
        )
    except RunError:
        with suppress(SkinmlError):  # what is wrong is said already
            delete_failures(workspace)  # the cause may be this machine, not the images
        raise
    published = publish_night(workspace, Night(run, model, shards, counts, new.before, new.counted, health))
    remembered = [part for shard in shards if (part := shard.compared.remembered) is not None]
    publish_known_etags(workspace, run.run_id, new.counted.models, remembered)
    try:
        delete_records(workspace, run.run_id, new.resumption.spent)
    except SkinmlError as error:  # such as no right to delete; the next run, or `skinml compact`, tries again
        logger.warning("records of committed parts could not be deleted: %s", error)
    return published


def judge(model: ScoringModel, shards: Sequence[ShardScored], backfill: bool) -> Health | None:
    """Compare the run's images with those the model was tested on; None if the model has no reference.

    The images of a backfill are of many earlier nights, so their drift is no warning about tonight.
    """
    night = sum((shard.health for shard in shards), start=Tally())
    if model.usual is None or not night.images:
        return None
    health = compare(model.usual, night)
    log = logger.warning if health.verdict == DRIFTED and not backfill else logger.info
    log("%s%s", "backfill, so no night's health: " if backfill else "", health.sentence)
    return health
