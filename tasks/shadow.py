"""Stages of a shadow night: score what the night scored with a challenger, and say how many would change."""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import Any

from skinml.compute import connect, width
from skinml.errors import RequestError, SkinmlError
from skinml.records.runs import Run
from skinml.requests.scoring import ScoreRequest
from skinml.scoring.predict import ScoringModel, images_per_shard
from skinml.scoring.shadow import (
    Night,
    ShadowShard,
    find_nights,
    publish_shadow,
    shadow_images,
    shadow_jobs,
    shadow_ledger,
    shadow_shard,
)
from skinml.storage.urls import normalise
from skinml.words import several
from tasks.cluster import workspace_check
from tasks.model import choose_model
from tasks.shards import run_shards
from tasks.stage import stage

logger = logging.getLogger("skinml.shadow")


def choose_shadow(workspace: str, request: ScoreRequest, model: ScoringModel) -> ScoringModel | None:
    """Choose the version that scores beside the night's, before the run begins; None if there is none."""
    if request.shadow is None:
        return None
    shadow = choose_model(workspace, request.shadow, request.precision, "--shadow")
    if shadow.version == model.version:
        raise RequestError(f"--shadow {request.shadow}: this version scores the night itself; name another one")
    return shadow


def score_shadow(
    workspace: str, shadow: ScoringModel, archive: str, scored: int, request: ScoreRequest, run: Run
) -> dict[str, Any]:
    """Score what this night has scored, and earlier nights whose shadow is missing. A failure fails no night.

    Args:
        workspace: normalised URL.
        shadow: the challenger.
        archive: normalised URL.
        scored: images that this night has scored.
        request: of the night.
        run: the night.

    Returns:
        model_version, scored, would_change, would_cross, not_scored, nights; and `problem` if it failed.
    """
    totals: Counter[str] = Counter()
    found: dict[str, Any] = {"model_version": shadow.version}
    names = ("scored", "would_change", "would_cross", "not_scored", "nights")
    try:
        own = Night(run.run_id, run.started_at.date(), archive) if scored else None
        for night in nights_without_shadow(workspace, shadow, own):
            totals += shadow_night(workspace, shadow, night, request, run)
    except SkinmlError as error:
        logger.error("the shadow of this night failed, the next run with --shadow does it: %s", error)
        found["problem"] = str(error)
    found |= {name: totals[name] for name in names}
    if totals["scored"]:
        logger.info(
            "shadow %s: %d of %d images would get another diagnosis, %d of them would change between malignant"
            " and benign",
            *(shadow.version, totals["would_change"], totals["scored"], totals["would_cross"]),
        )
    return found


@stage("find nights without shadow")
def nights_without_shadow(workspace: str, shadow: ScoringModel, own: Night | None) -> list[Night]:
    """Find this night and earlier ones that died before their shadow was committed."""
    return find_nights(workspace, shadow.key, own)


# Not retried as a whole, because each shard is retried alone.
@stage("score the shadow", "score {night.run_id} with {shadow.version}", retried=False)
def shadow_night(
    workspace: str, shadow: ScoringModel, night: Night, request: ScoreRequest, run: Run
) -> Counter[str]:
    """Score one night's images on Dask workers and commit them. They are read and decoded a second time."""
    known = shadow_ledger(workspace, shadow.key)
    images = sum(piece.num_rows for piece in shadow_images(workspace, night, known, 65_536))
    shards: list[ShadowShard] = []
    if images:
        with connect(
            request.cluster, request.workers, math.ceil(images / images_per_shard(images, 1))
        ) as client:
            each = images_per_shard(images, width(client, request.workers))
            pieces = shadow_images(workspace, night, known, each)
            roots = None if night.archive is None else (normalise(night.archive),)
            jobs = shadow_jobs(pieces, workspace, shadow, night, run.run_id, roots)
            sees = workspace_check(workspace, request, run)
            description = f"shadow of {several(images, 'image')}"
            count = math.ceil(images / each)
            shards = run_shards(client, shadow_shard, jobs, count, "shadow-progress", description, sees)
    rows = publish(workspace, shadow, night, shards)
    left = sum((shard.left for shard in shards), Counter[str]())
    if left:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(left.items()))
        logger.warning("%d images have no shadow score: %s", left.total(), reasons)
    return Counter(
        scored=rows,
        would_change=sum(shard.would_change for shard in shards),
        would_cross=sum(shard.would_cross for shard in shards),
        not_scored=left.total(),
        nights=1,
    )


@stage("commit the shadow")
def publish(workspace: str, shadow: ScoringModel, night: Night, shards: list[ShadowShard]) -> int:
    """Commit one night's shadow, once."""
    return publish_shadow(workspace, shadow.key, night, shards)
