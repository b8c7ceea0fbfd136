"""Shadow nights: score the images of a night with a challenger too, into `shadow_scores`.

A night's images are those with its run_id in `scores`. Its shadow is committed under the same run_id, so it is
in `shadow_scores` once, whichever run commits it. If a night dies before that, the next run with the same
challenger finds it in `runs` and does it.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.images.load import Fetched, Rejected, decode_image, read_images
from skinml.labels import MALIGNANT
from skinml.process.crash_points import crash_point
from skinml.schemas import IMAGE_VERSION, LISTING
from skinml.scoring.counted import Model
from skinml.scoring.ledger import Known, Ledger, hash_keys, look_up, make_ledger, read_scored
from skinml.scoring.predict import (
    Batches,
    ScoreJob,
    ScoringModel,
    judge_images,
    score_rows,
)
from skinml.tables import Part, Snapshot

logger = logging.getLogger("skinml.shadow")

TABLE = "shadow_scores"

SHADOW_JOB = pa.schema([*LISTING, ("sha256", pa.string()), ("predicted_dx", pa.string())])
"""An image as a worker gets it: its row in `scores`, with the hash of the bytes and the diagnosis."""

REPLACED = "other bytes than the night scored"


@dataclass(frozen=True)
class Night:
    """A night whose images the challenger scores: its run and date, and its archive; None if not known."""

    run_id: str
    run_date: date
    archive: str | None


@dataclass(frozen=True)
class ShadowShard:
    """The result of one shard.

    Attributes:
        part: the uncommitted rows, or None.
        scored: images with a row.
        would_change: of these, images to which the challenger gives another diagnosis.
        would_cross: of these, images that it takes for malignant and the champion for benign, or the reverse.
        left: images without a row, by reason.
    """

    part: Part | None
    scored: int
    would_change: int
    would_cross: int
    left: Counter[str]


def find_nights(workspace: str, challenger: Model, own: Night | None) -> list[Night]:
    """Return the nights whose shadow is missing, the oldest first: earlier ones that died, and this one.

    Args:
        workspace: normalised URL.
        challenger: the version that scores beside the champion.
        own: this night, which has no row in `runs` yet; None if it has scored nothing.
    """
    columns = ["run_id", "flow", "started_at", "done", "parameters"]
    rows = tables.read(workspace, "runs", columns)
    chosen = rows.filter(pc.and_(pc.equal(rows["flow"], "score"), pc.greater(rows["done"], 0)))
    asked = [(row, json.loads(row["parameters"])) for row in chosen.sort_by("started_at").to_pylist()]
    nights = [
        Night(row["run_id"], row["started_at"].date(), parameters.get("archive"))
        for row, parameters in asked
        if parameters.get("shadow") == challenger[1]
    ]
    nights = [*nights, *([own] if own is not None else [])]
    done = tables.transactions(workspace, TABLE, [night.run_id for night in nights])
    return [night for night in nights if night.run_id not in done]


def shadow_ledger(workspace: str, challenger: Model) -> Ledger:
    """Return the image versions that the challenger has in `shadow_scores`."""
    return make_ledger(read_scored(workspace, [challenger], table=TABLE))


def shadow_images(workspace: str, night: Night, known: Ledger, each: int) -> Iterator[pa.Table]:
    """Yield the night's images that the challenger has not scored, at most `each` at a time, SHADOW_JOB."""
    where = pc.field("run_id") == night.run_id
    for rows in tables.scan(workspace, "scores", SHADOW_JOB.names, where=where):
        new = look_up(known, hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy()) == Known.NEW
        left = rows.filter(pa.array(new))
        for start in range(0, left.num_rows, each):
            yield left.slice(start, each)


def shadow_shard(job: ScoreJob) -> ShadowShard:
    """Read, decode and predict one shard with the challenger.

    An image whose bytes are others by now gets no row: the next night scores them, with its own shadow.
    """
    before = job.images.to_pandas()
    rows: list[tuple[Any, ...] | None] = []
    left: Counter[str] = Counter()
    predicted = Batches(job.model)
    wanted = before["sha256"].tolist()
    for image, sha256 in zip(read_images(before, job.roots), wanted, strict=True):
        if isinstance(image, Fetched) and sha256 not in {None, image.sha256}:
            left[REPLACED] += 1
            rows.append(None)
            continue
        found = decode_image(image, job.model.preprocessing) if isinstance(image, Fetched) else image
        if isinstance(found, Rejected):
            left[found.reason.value] += 1
            rows.append(None)
            continue
        decoded = found.decoded
        rows.append((found.sha256, decoded.width, decoded.height, datetime.now(UTC), decoded.colour_profile))
        predicted.add(decoded.pixels)
    findings = predicted.finish()
    if not findings:
        return ShadowShard(None, 0, 0, 0, left)
    usable = np.array([row is not None for row in rows])
    read = pd.DataFrame(
        [row for row in rows if row is not None],
        columns=["sha256", "width", "height", "scored_at", "colour_profile"],
    )
    listed = before.loc[usable, [*LISTING.names]].reset_index(drop=True)
    images = pd.concat([listed, read], axis=1)
    flags, _ = judge_images(images, findings, job.model.usual)
    table = score_rows(images, findings, flags, job)
    name = tables.attempt(f"{job.flow}-{job.number:05d}")
    part = tables.write_part(job.workspace, TABLE, table, name, {"run_date": job.run_date.isoformat()})
    crash_point(36)
    then = before.loc[usable, "predicted_dx"].to_numpy()
    now = table["predicted_dx"].to_pandas().to_numpy()
    crossed = np.isin(then, MALIGNANT) != np.isin(now, MALIGNANT)
    return ShadowShard(part, len(images), int((then != now).sum()), int(crossed.sum()), left)


def shadow_jobs(
    shards: Iterator[pa.Table],
    workspace: str,
    model: ScoringModel,
    night: Night,
    run_id: str,
    roots: tuple[str, ...] | None,
) -> Iterator[ScoreJob]:
    """Yield one numbered job for each shard. `run_id` is the run that works, after which parts are named."""
    for number, images in enumerate(shards):
        yield ScoreJob(number, images, workspace, model, night.run_id, night.run_date, run_id, roots)


def publish_shadow(workspace: str, challenger: Model, night: Night, shards: Sequence[ShadowShard]) -> int:
    """Commit a night's shadow, once for its run_id; return how many rows it has.

    Rows that another run has committed in the meantime are left out. Also a night without rows is committed, so
    that no later run looks for it.
    """
    parts = [shard.part for shard in shards if shard.part is not None]
    rows = 0

    def examine(_: Snapshot) -> tuple[Sequence[Part], str]:
        nonlocal rows
        known = shadow_ledger(workspace, challenger)
        left = []
        for part in parts:
            there = tables.read_parts(workspace, TABLE, [part], [*IMAGE_VERSION, "size_bytes"])
            keys = hash_keys(there["uri"], there["etag"])
            new = look_up(known, keys, there["size_bytes"].to_numpy()) == Known.NEW
            left.append(part if new.all() else tables.keep_rows(workspace, TABLE, part, pa.array(new)))
        kept = [part for part in left if part is not None]
        rows = sum(part.rows for part in kept)
        crash_point(37)
        return kept, ""

    tables.publish(workspace, TABLE, parts, night.run_id, examine)
    crash_point(38)
    return rows
