"""One shard's work, in a worker: pixels, rows of the tables that nobody sees yet, and counts.

The same images give the same bytes, whatever the number of workers: a shard is a slice of the plan, which is
in order. A shard's number is used once: a file that is there with other bytes is never written over.
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
from skinml.errors import RunError, StorageError
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
    """One shard's work: a slice of `Plan.work`, where its pixels and rows go, and whether pixels are there."""

    number: int
    images: pd.DataFrame
    workspace: str
    preprocessing: Preprocessing
    stored_as: ShardFormat
    run_id: str
    roots: tuple[str, ...] | None = None  # archives that no image may lie outside of; None where nobody knows
    finished: bool = False  # by an earlier run that was interrupted: only the rows are written anew

    @property
    def dataset_key(self) -> str:
        """Which dataset the shard belongs to."""
        return self.preprocessing.dataset_key(self.stored_as)


@dataclass(frozen=True)
class ShardDone:
    """What one shard left: counts, and unpublished parts of the tables. No row comes back to the driver.

    Attributes:
        number: of the shard.
        resumed: whether an earlier run had decoded it.
        prepared: how many images have pixels now.
        rejected: how many images for which reason.
        samples: rows for `samples`, or None.
        quarantine: rows for `quarantine`, or None.
        file: the name of the file of its pixels; "" where none of its images could be used.
        file_bytes: how many bytes that file has.
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
    """Read, decode and write one shard, or take over a finished one. Run twice, it leaves the same behind."""
    if job.finished:
        outcome = read_record(job.workspace, job.dataset_key, job.number)
        size = _size_of_pixels(job) if outcome["reason"].isna().any() else 0
        if size is not None:
            return _write_rows(job, outcome, size)
        job = replace(job, finished=False)  # the record is there and the pixels are not
    pixels, outcome = decode_images(job.images, job.preprocessing, job.roots)
    size = _write_pixels(job, pixels) if len(pixels) else 0
    write_record(job.workspace, job.dataset_key, job.number, outcome)
    return _write_rows(job, outcome, size)


def _pixels_url(job: ShardJob) -> str:
    return f"{shards_url(job.workspace, job.dataset_key)}/{shard_name(job.number, job.stored_as)}"


def _size_of_pixels(job: ShardJob) -> int | None:
    """The bytes of a finished shard's pixels; None where they are gone."""
    url = _pixels_url(job)
    [seen] = head_objects([as_uri(url)])
    if isinstance(seen, FileNotFoundError):
        return None
    if isinstance(seen, Exception):
        raise StorageError(f"{url}: {seen}") from seen
    return seen.size_bytes


def _write_pixels(job: ShardJob, pixels: NDArray[np.uint8]) -> int:
    """Write a shard's pixels; how many bytes."""
    url = _pixels_url(job)
    data = encode_shard(pixels, job.stored_as)
    if not create_bytes(url, data) and read_bytes(url) != data:
        raise RunError(
            f"{url}: is there with other pixels; another preparation is at work here, run again later"
        )
    return len(data)


def _write_rows(job: ShardJob, outcome: pd.DataFrame, file_bytes: int) -> ShardDone:
    """Labels and outcomes, side by side in the same order, as parts of `samples` and `quarantine`."""
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
