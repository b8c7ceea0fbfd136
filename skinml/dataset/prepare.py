"""One shard's work, in a worker: read, decode and measure images; leave pixels, rows and counts.

The same images give the same bytes, whatever the number of workers: a shard is a slice of the plan, which is
in order, and its number follows the shards that the index already has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from skinml.dataset.shards import encode_shard, images_per_shard, shard_name
from skinml.images.load import Rejected, load_images
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.images.quality import brightness, luminance, sharpness
from skinml.quarantine import quarantine_rows
from skinml.schemas import INDEX, SAMPLES
from skinml.storage.objects import write_bytes
from skinml.tables import Part, write_part
from skinml.workspace import shards_url


@dataclass(frozen=True)
class ShardJob:
    """One shard's work: a slice of `Plan.work`, and where its pixels and rows go."""

    number: int
    images: pd.DataFrame
    workspace: str
    preprocessing: Preprocessing
    stored_as: ShardFormat
    run_id: str


@dataclass(frozen=True)
class ShardDone:
    """What one shard left: counts, its rows for the index, and unpublished parts of the tables."""

    number: int
    prepared: int
    rejected: Counter[str]  # how many for which reason
    index: pa.Table
    samples: Part | None
    quarantine: Part | None


def shard_jobs(
    work: pd.DataFrame,
    first: int,
    workspace: str,
    preprocessing: Preprocessing,
    stored_as: ShardFormat,
    run_id: str,
) -> Iterator[ShardJob]:
    """Cut the work into shards, numbered from `first`."""
    length = images_per_shard(preprocessing.size)
    for number, start in enumerate(range(0, len(work), length), first):
        piece = work.iloc[start : start + length]
        yield ShardJob(number, piece, workspace, preprocessing, stored_as, run_id)


def write_shard(job: ShardJob) -> ShardDone:
    """Read, decode and write one shard. Run twice, it leaves the same behind.

    An image that cannot be used is a row for the quarantine; nothing about one image stops the shard.
    """
    pixels: list[NDArray[np.uint8]] = []
    samples: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for image in load_images(job.images, job.preprocessing):
        if isinstance(image, Rejected):
            rejected.append(image.row)
            continue
        light = luminance(image.decoded.pixels)
        pixels.append(image.decoded.pixels)
        samples.append(
            {
                **image.row,
                "width": image.decoded.width,
                "height": image.decoded.height,
                "sharpness": sharpness(light),
                "brightness": brightness(light),
                "run_id": job.run_id,
                "prepared_at": datetime.now(UTC),
            }
        )
    return _store(job, pixels, samples, rejected)


def _store(
    job: ShardJob,
    pixels: list[NDArray[np.uint8]],
    samples: list[dict[str, Any]],
    rejected: list[dict[str, Any]],
) -> ShardDone:
    if pixels:
        key = job.preprocessing.dataset_key(job.stored_as)
        data = encode_shard(np.stack(pixels), job.stored_as)
        write_bytes(f"{shards_url(job.workspace, key)}/{shard_name(job.number, job.stored_as)}", data)
    rows = [{**sample, "shard": job.number, "row": row} for row, sample in enumerate(samples)]
    new = [sample for sample in samples if not sample["in_samples"]]
    name = f"{job.run_id}-{job.number:05d}"
    samples_part = quarantine_part = None
    if new:
        table = pa.Table.from_pandas(pd.DataFrame(new)[SAMPLES.names], SAMPLES, preserve_index=False)
        samples_part = write_part(job.workspace, "samples", table, name)
    if rejected:
        table = quarantine_rows(pd.DataFrame(rejected), "prepare", job.run_id)
        quarantine_part = write_part(job.workspace, "quarantine", table, name)
    index = pa.Table.from_pylist(rows, schema=INDEX)
    return ShardDone(
        job.number,
        len(samples),
        Counter(row["reason"] for row in rejected),
        index,
        samples_part,
        quarantine_part,
    )
