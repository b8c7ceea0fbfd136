"""What only the whole dataset shows: duplicates among all samples, and where all pixels lie.

It takes a row for every image, so it is done in a worker: the driver holds names and counts.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skinml.dataset.neighbours import Duplicates, find_among_samples
from skinml.dataset.outcome import read_record
from skinml.dataset.shards import read_index
from skinml.schemas import IMAGE_VERSION, INDEX
from skinml.storage.objects import write_bytes
from skinml.storage.urls import image_ids
from skinml.tables import Part
from skinml.workspace import pending_index_url


@dataclass(frozen=True, eq=False)
class SurveyJob:
    """A dataset, with what is about to be committed to it.

    Attributes:
        workspace: normalised URL.
        dataset_key: which dataset.
        shards: numbers of this run's shards.
        samples: parts of `samples` that these shards left.
        corrected: image_id and lesion_id of samples whose lesion may be another one now.
    """

    workspace: str
    dataset_key: str
    shards: Sequence[int]
    samples: Sequence[Part]
    corrected: pd.DataFrame


def survey(job: SurveyJob) -> Duplicates:
    """Write the index as it will be, for the commit to put in place, and find the duplicates of what is new."""
    if job.shards:
        _write_pending_index(job)
    return find_among_samples(job.workspace, job.samples, job.corrected)


def _write_pending_index(job: SurveyJob) -> None:
    """The index with the images of this run's shards. The newest stands for one whose pixels were made again.

    That happens when a file is put back as it was.
    """
    index = read_index(job.workspace, job.dataset_key)
    rows = pa.concat_tables([index, *(_located(job, number) for number in sorted(job.shards))]).to_pandas()
    rows = rows.drop_duplicates(IMAGE_VERSION, keep="last")
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(rows, INDEX, preserve_index=False), buffer, compression="zstd")
    write_bytes(pending_index_url(job.workspace, job.dataset_key), buffer.getvalue())


def _located(job: SurveyJob, number: int) -> pa.Table:
    """The images that have pixels in a shard, as rows of the index."""
    record = read_record(job.workspace, job.dataset_key, number, [*IMAGE_VERSION, "row"])
    kept = record[record["row"].notna()]
    rows = kept.assign(image_id=image_ids(kept["uri"]), shard=number)
    return pa.Table.from_pandas(rows[INDEX.names], INDEX, preserve_index=False)
