"""Stages of a night: the model, what is new, predict on Dask, commit."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from skinml import tables
from skinml.compute import connect, width
from skinml.config import ClusterRequest, ScoreRequest
from skinml.crash_points import crash_point
from skinml.models import registry
from skinml.models.allowed import network_file
from skinml.models.precisions import Precision
from skinml.runs import Counts, Run
from skinml.schemas import TABLES
from skinml.scoring.bad_nights import check_quarantined
from skinml.scoring.commit import Night, Published, finish, publish_night, unfinished_runs
from skinml.scoring.health import Health, Tally, compare
from skinml.scoring.ledger import make_ledger, read_quarantined, read_scored
from skinml.scoring.pending import Pending, Window, find_pending
from skinml.scoring.predict import (
    ScoringModel,
    ShardScored,
    images_per_shard,
    most_shards,
    score_jobs,
    score_shard,
)
from skinml.scoring.reference import FILE as REFERENCE
from skinml.scoring.reference import parse_reference
from skinml.scoring.refuse import refuse_other_bytes
from skinml.storage.list_ahead import list_ahead
from skinml.tables import Snapshot
from skinml.workspace import model_url, table_url
from tasks import artifacts
from tasks.shards import rejections, run_shards
from tasks.stage import stage

logger = logging.getLogger("skinml.score")


@stage("choose the model", "choose the model: {version}", tags=("storage",))
def choose_model(workspace: str, version: str, precision: Precision) -> ScoringModel:
    """The version that scores, once its files' hashes are known to be the registered ones."""
    manifest = registry.find(workspace, version)
    network = network_file(manifest, precision)
    registry.read_verified(workspace, manifest, network)
    usual = None
    if REFERENCE in manifest.files:
        reference = parse_reference(registry.read_verified(workspace, manifest, REFERENCE), manifest.version)
        usual = reference.of(precision, manifest.version)
    logger.info("model %s %s, %s", manifest.name, manifest.version, precision)
    return ScoringModel(
        name=manifest.name,
        version=manifest.version,
        onnx_url=f"{model_url(workspace, manifest.name, manifest.version)}/{network}",
        onnx_sha256=manifest.files[network].sha256,
        preprocessing=manifest.pixels(),
        precision=precision,
        usual=usual,
    )


@stage("check the tables", tags=("storage",))
def check_tables(workspace: str) -> None:
    """Refuse tables of another skinml, and fail over broken ones, before anything is done."""
    for table in TABLES:
        tables.check_table(workspace, table)


@stage("finish what died", tags=("storage",))
def finish_dead_runs(workspace: str, run: Run) -> None:
    """Do what must follow the scores of runs that died after committing them."""
    for redo in unfinished_runs(workspace):
        finish(workspace, redo, run.run_id)


@dataclass(frozen=True, eq=False)
class New:
    """What is new, and the state of `scores` that it is new against."""

    pending: Pending
    before: Snapshot


@stage("find what is new", "find what {model.version} has not scored", tags=("storage",))
def find_new(workspace: str, archive: str, model: ScoringModel, request: ScoreRequest, folder: Path) -> New:
    """The archive's listing less what this model version has scored and what is quarantined for good."""
    with list_ahead(archive) as listing:  # while storage lists, the tables are read
        before = tables.snapshot(workspace, "scores")
        known = [read_scored(workspace, model.name, model.version), read_quarantined(workspace)]
        ledger = make_ledger(piece for pieces in known for piece in pieces)
        window = Window(request.since, request.until, request.limit)
        pending = find_pending(listing, ledger, window, folder / "pending.parquet")
    logger.info(
        "%d images listed (%d other objects ignored): %d new, %d skipped",
        *(pending.listed, pending.ignored, pending.images, pending.skipped),
    )
    if pending.outside_window or pending.beyond_limit:
        logger.info(
            "of the skipped, %d were modified outside --since and --until, %d are beyond --limit",
            *(pending.outside_window, pending.beyond_limit),
        )
    return New(pending, before)


@stage("score shards", "score with {model.version}", tags=("dask",))
def score_images(
    workspace: str, new: New, model: ScoringModel, cluster: ClusterRequest, run: Run
) -> list[ShardScored]:
    """Decode and predict the new images, on Dask workers."""
    crash_point(2)
    pending = new.pending
    refused = refuse_other_bytes(workspace, pending.other_bytes, run.flow, run.run_id)
    if not pending.images:
        return refused
    with connect(cluster.cluster, cluster.workers, most_shards(pending.images)) as client:
        each = images_per_shard(pending.images, width(client, cluster.workers))
        shards = math.ceil(pending.images / each)
        jobs = score_jobs(pending.read(each), workspace, model, run.run_id, run.started_at.date(), run.flow)
        description = f"score {pending.images} images"
        return refused + run_shards(client, score_shard, jobs, shards, "score-progress", description)


@stage("commit the scores", tags=("storage",))
def commit_scores(
    workspace: str,
    shards: Sequence[ShardScored],
    counts: Counts,
    new: New,
    model: ScoringModel,
    health: Health | None,
    run: Run,
    most_quarantined: float = 1.0,
) -> Published:
    """Check that no image was lost and not too many are bad, then publish scores and quarantine."""
    crash_point(6)
    check_quarantined(workspace, shards, most_quarantined, run.run_id)
    return publish_night(workspace, Night(run, model, shards, counts, new.before, health))


def judge(model: ScoringModel, shards: Sequence[ShardScored]) -> Health | None:
    """Whether tonight's images look like those the model was tested on; None where nobody can say."""
    night = sum((shard.health for shard in shards), start=Tally())
    if model.usual is None or not night.images:
        return None
    health = compare(model.usual, night)
    log = logger.warning if health.verdict == "drifted" else logger.info
    log("%s", health.sentence)
    return health


def count(new: New, shards: Sequence[ShardScored]) -> Counts:
    """What became of the listed images."""
    done = sum(shard.scored for shard in shards)
    return Counts(new.pending.listed, new.pending.skipped, done, rejections(shards).total())


def count_reasons(shards: Sequence[ShardScored]) -> dict[str, int]:
    """How many images of this run were quarantined for which reason."""
    return dict(sorted(rejections(shards).items()))


@stage("show the result")
def show_scored(workspace: str, result: dict[str, object], health: Health | None) -> None:
    """Counts, the night's health and links in the Prefect UI."""
    artifacts.show_table("score-counts", "What became of the listed images.", [result])
    if health is not None:
        rows = [asdict(drift) for drift in health.measures]
        artifacts.show_table("score-health", f"{health.sentence[0].upper()}{health.sentence[1:]}.", rows)
    links = {name: table_url(workspace, name) for name in ("scores", "quarantine", "runs")}
    artifacts.show_links("score-links", "Where the tables lie", links)
