"""Stages of a night: the model, what is new, predict on Dask, commit."""

from __future__ import annotations

import logging
import math

import pyarrow.compute as pc

from skinml import tables
from skinml.cluster import connect
from skinml.config import ClusterRequest
from skinml.models import registry
from skinml.runs import Counts, Run
from skinml.scoring.commit import publish_scores
from skinml.scoring.pending import Pending, find_pending
from skinml.scoring.predict import IMAGES_PER_SHARD, ScoringModel, ShardScored, score_jobs, score_shard
from skinml.workspace import model_url, table_url
from tasks import artifacts
from tasks.archive import Listing
from tasks.shards import rejections, run_shards
from tasks.stage import stage

logger = logging.getLogger("skinml.score")

NETWORK = "model.onnx"


@stage("choose the model", "choose the model: {version}", tags=("storage",))
def choose_model(workspace: str, version: str) -> ScoringModel:
    """The version that scores, once its network's hash is known to be the registered one."""
    manifest = registry.find(workspace, version)
    registry.read_verified(workspace, manifest, NETWORK)
    url = f"{model_url(workspace, manifest.name, manifest.version)}/{NETWORK}"
    logger.info("model %s %s", manifest.name, manifest.version)
    sha256 = manifest.files[NETWORK].sha256
    return ScoringModel(manifest.name, manifest.version, url, sha256, manifest.pixels())


@stage("find what is new", "find what {model.version} has not scored", tags=("storage",))
def find_new(workspace: str, listing: Listing, model: ScoringModel) -> Pending:
    """The listing less what this model version has scored and what is quarantined for good."""
    scored = tables.read(workspace, "scores", ["uri", "etag", "model_name", "model_version"])
    ours = pc.and_(pc.equal(scored["model_name"], model.name), pc.equal(scored["model_version"], model.version))
    quarantine = tables.read(workspace, "quarantine", ["flow", "uri", "etag", "reason"])
    pending = find_pending(
        listing.images,
        scored.filter(ours).select(["uri", "etag"]).to_pandas(),
        quarantine.filter(pc.equal(quarantine["flow"], "score")).to_pandas(),
    )
    logger.info(
        "%d images listed (%d other objects ignored): %d new, %d known",
        *(pending.listed, listing.ignored, len(pending.images), pending.skipped),
    )
    return pending


@stage("score shards", "score with {model.version}", tags=("dask",))
def score_images(
    workspace: str, pending: Pending, model: ScoringModel, cluster: ClusterRequest, run: Run
) -> list[ShardScored]:
    """Decode and predict the new images, on Dask workers."""
    total = len(pending.images)
    if not total:
        return []
    jobs = score_jobs(pending.images, workspace, model, run.run_id, run.started_at.date())
    shards = math.ceil(total / IMAGES_PER_SHARD)
    with connect(cluster.cluster, cluster.workers, shards) as client:
        return run_shards(client, score_shard, jobs, shards, "score-progress", f"score {total} images")


@stage("commit the scores", tags=("storage",))
def commit_scores(workspace: str, shards: list[ShardScored], counts: Counts, run: Run) -> int | None:
    """Check that no image was lost, then publish scores and quarantine. The version of `scores`."""
    return publish_scores(workspace, shards, counts, run.run_id)


def count(pending: Pending, shards: list[ShardScored]) -> Counts:
    """What became of the listed images."""
    done = sum(shard.scored for shard in shards)
    return Counts(pending.listed, pending.skipped, done, rejections(shards).total())


def count_reasons(shards: list[ShardScored]) -> dict[str, int]:
    """How many images of this run were quarantined for which reason."""
    return dict(sorted(rejections(shards).items()))


@stage("show the result")
def show_scored(workspace: str, result: dict[str, object]) -> None:
    """Counts and links in the Prefect UI."""
    artifacts.show_table("score-counts", "What became of the listed images.", [result])
    links = {name: table_url(workspace, name) for name in ("scores", "quarantine", "runs")}
    artifacts.show_links("score-links", "Where the tables lie", links)
