"""Write one shard, in a worker: its pixels, uncommitted rows of the tables, and counts.

The same images give the same bytes for any number of workers, because a shard is a slice of the sorted plan. A
shard number is used only once: an existing file with other bytes is never overwritten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from skinml.dataset.outcome import decode_images, read_record, write_record
from skinml.dataset.shards import cut, encode_shard, shard_name
from skinml.errors import OverlapError, StorageError
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.layout import shards_url
from skinml.records.quarantine import quarantine_rows
from skinml.schemas import SAMPLES
from skinml.storage.head import head_objects
from skinml.storage.objects import create_bytes, read_bytes
from skinml.storage.urls import as_uri
from skinml.tables import Part, attempt, write_part


@dataclass(frozen=True)
class ShardJob:
    """The job for one shard: a slice of `Plan.work`, the target, and whether its pixels exist already."""

    number: int
    images: pd.DataFrame
    workspace: str
    preprocessing: Preprocessing
    stored_as: ShardFormat
    run_id: str
    roots: tuple[str, ...] | None = None  # archives that every image must lie in; None if not known
    finished: bool = False  # by an interrupted run: only the rows are written again

    @property
    def dataset_key(self) -> str:
        """The dataset of the shard."""
        return self.preprocessing.dataset_key(self.stored_as)


@dataclass(frozen=True)
class ShardDone:
    """The result of one shard: counts, and uncommitted parts of the tables. Rows do not go to the driver.

    Attributes:
        number: number of the shard.
        resumed: whether an interrupted run had decoded it.
        prepared: number of images that have pixels now.
        rejected: number of rejected images by reason.
        samples: the part of `samples`, or None.
        quarantine: the part of `quarantine`, or None.
        file: name of the file of pixels; "" if none of its images could be used.
        file_bytes: size of that file.
        colour_profiles: how many of the prepared images have a colour profile other than sRGB.
    """

    number: int
    resumed: bool
    prepared: int
    rejected: Counter[str]
    samples: Part | None
    quarantine: Part | None
    file: str = ""
    file_bytes: int = 0
    colour_profiles: int = 0


def shard_jobs(
    work: pd.DataFrame,
    first: int,
    workspace: str,
    preprocessing: Preprocessing,
    stored_as: ShardFormat,
    run_id: str,
    roots: tuple[str, ...] | None = None,
) -> Iterator[ShardJob]:
    """Cut the work into shards, numbered from `first`."""
    for number, piece in enumerate(cut(work["size_bytes"].to_numpy(), preprocessing.size), first):
        yield ShardJob(number, work.iloc[piece], workspace, preprocessing, stored_as, run_id, roots)


def write_shard(job: ShardJob) -> ShardDone:
    """Read, decode and write one shard, or take over a finished one. A second call has the same result."""
    if job.finished:
        outcome = read_record(job.workspace, job.dataset_key, job.number)
        size = _size_of_pixels(job) if outcome["reason"].isna().any() else 0
        if size is not None:
            return _write_rows(job, outcome, size)
        job = replace(job, finished=False)  # there is a record, but the pixels are missing
    pixels, outcome = decode_images(job.images, job.preprocessing, job.roots)
    size = _write_pixels(job, pixels) if len(pixels) else 0
    write_record(job.workspace, job.dataset_key, job.number, outcome)
    return _write_rows(job, outcome, size)


def _pixels_url(job: ShardJob) -> str:
    return f"{shards_url(job.workspace, job.dataset_key)}/{shard_name(job.number, job.stored_as)}"


def _size_of_pixels(job: ShardJob) -> int | None:
    """Return the size of a finished shard's pixels; None if the file is missing."""
    url = _pixels_url(job)
    [seen] = head_objects([as_uri(url)])
    if isinstance(seen, FileNotFoundError):
        return None
    if isinstance(seen, Exception):
        raise StorageError(f"{url}: {seen}") from seen
    return seen.size_bytes


def _write_pixels(job: ShardJob, pixels: NDArray[np.uint8]) -> int:
    """Write a shard's pixels and return their size in bytes."""
    url = _pixels_url(job)
    data = encode_shard(pixels, job.stored_as)
    if not create_bytes(url, data) and read_bytes(url) != data:
        raise OverlapError(
            f"{url}: exists with other pixels; another preparation is running, run again once it has ended"
        )
    return len(data)


def _write_rows(job: ShardJob, outcome: pd.DataFrame, file_bytes: int) -> ShardDone:
    """Join labels and outcomes, which have the same order, and write parts of `samples` and `quarantine`."""
    labels = job.images.drop(columns=[name for name in outcome if name in job.images]).reset_index(drop=True)
    images = pd.concat([labels, outcome], axis="columns").assign(run_id=job.run_id, shard=job.number)
    kept = images["reason"].isna()
    new, rejected = images[kept & ~images["in_samples"]], images[~kept]
    name = attempt(f"{job.run_id}-{job.number:05d}")
    samples_part = quarantine_part = None
    if len(new):
        table = pa.Table.from_pandas(new[SAMPLES.names], SAMPLES, preserve_index=False)
        samples_part = write_part(job.workspace, "samples", table, name)
    if len(rejected):
        table = quarantine_rows(rejected, "prepare", job.run_id)
        quarantine_part = write_part(job.workspace, "quarantine", table, name)
    prepared, reasons = int(kept.sum()), Counter(rejected["reason"])
    file = shard_name(job.number, job.stored_as) if prepared else ""
    profiles = int((outcome["colour_profile"] == True).sum()) if "colour_profile" in outcome else 0  # noqa: E712
    return ShardDone(
        *(job.number, job.finished, prepared, reasons, samples_part, quarantine_part, file, file_bytes),
        colour_profiles=profiles,
    )
