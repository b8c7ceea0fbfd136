"""Work that needs all samples at once: find duplicates, and write the index of pixels.

It needs memory for a row per image, so a worker does it: the driver holds only names and counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from skinml.dataset.neighbours import Duplicates, find_among_samples
from skinml.dataset.outcome import read_record
from skinml.dataset.shards import read_index, write_index
from skinml.layout import pending_index_url
from skinml.schemas import IMAGE_VERSION, INDEX
from skinml.storage.urls import image_ids
from skinml.tables import Part
from skinml.tables.matching import among


@dataclass(frozen=True, eq=False)
class SurveyJob:
    """A dataset and the uncommitted results of this run.

    Attributes:
        workspace: normalised URL.
        dataset_key: the dataset.
        shards: numbers of this run's shards.
        samples: uncommitted parts of `samples` from these shards.
        corrected: image_id and lesion_id of samples whose lesion_id may have changed.
    """

    workspace: str
    dataset_key: str
    shards: Sequence[int]
    samples: Sequence[Part]
    corrected: pd.DataFrame


def find_duplicates(job: SurveyJob) -> Duplicates:
    """Find duplicates of the uncommitted samples among all samples."""
    return find_among_samples(job.workspace, job.samples, job.corrected)


def write_pending_index(job: SurveyJob) -> None:
    """Write the new index to a temporary place, from which the commit moves it.

    If the pixels of an image were made again, for example because an old file was restored, the newest row
    counts.
    """
    index = read_index(job.workspace, job.dataset_key).to_pandas()
    new = pd.concat([_located(job, number) for number in sorted(job.shards)], ignore_index=True)
    rows = pd.concat([index[~among(index, new, IMAGE_VERSION)], new])
    table = pa.Table.from_pandas(rows, INDEX, preserve_index=False)
    write_index(pending_index_url(job.workspace, job.dataset_key), table)


def _located(job: SurveyJob, number: int) -> pd.DataFrame:
    """Return the images that have pixels in a shard, columns of INDEX."""
    record = read_record(job.workspace, job.dataset_key, number, [*IMAGE_VERSION, "row"])
    kept = record[record["row"].notna()]
    located: pd.DataFrame = kept.assign(image_id=image_ids(kept["uri"]), shard=number)[INDEX.names]
    return located
