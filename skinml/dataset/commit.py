"""Publish what the shards of a preparation left: samples, quarantine, index, in an order that a crash survives.

Samples come before the index: an image is skipped only if it is in both, so whatever a crash leaves out is
decoded again by the next run, and what is in `samples` already is not added twice.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skinml import tables
from skinml.dataset.prepare import ShardDone
from skinml.dataset.shards import read_index, write_index
from skinml.quarantine import quarantine_rows
from skinml.runs import Counts
from skinml.schemas import SAMPLES
from skinml.storage.objects import read_bytes
from skinml.workspace import table_url


def publish_dataset(
    workspace: str,
    dataset_key: str,
    shards: Sequence[ShardDone],
    rejected: pd.DataFrame,
    superseded: pd.DataFrame,
    counts: Counts,
    run_id: str,
) -> int | None:
    """Commit a preparation.

    Args:
        workspace: normalised URL.
        dataset_key: which dataset the pixels belong to.
        shards: what the workers returned.
        rejected: images refused by the plan: uri, etag, size_bytes, reason, detail.
        superseded: rows of `samples` (uri, etag) that give way where a newer version was prepared.
        counts: of the whole run; they are checked before anything is committed.
        run_id: the run, which is the transaction.

    Returns:
        The version of `samples`, which names the dataset version; None where there are no samples at all.

    Raises:
        RunError: the counts do not add up.
    """
    counts.check()
    parts = [shard.samples for shard in shards if shard.samples is not None]
    if parts and len(superseded):
        version = tables.replace(workspace, "samples", _successors(workspace, parts, superseded), run_id)
    else:
        version = tables.publish(workspace, "samples", parts, run_id)

    quarantine = [shard.quarantine for shard in shards if shard.quarantine is not None]
    if len(rejected):
        rows = quarantine_rows(rejected, "prepare", run_id)
        quarantine.append(tables.write_part(workspace, "quarantine", rows, f"{run_id}-plan"))
    tables.publish(workspace, "quarantine", quarantine, run_id)

    new = [shard.index for shard in sorted(shards, key=lambda shard: shard.number) if shard.prepared]
    if new:
        write_index(workspace, dataset_key, pa.concat_tables([read_index(workspace, dataset_key), *new]))
    return version


def _successors(workspace: str, parts: Sequence[tables.Part], superseded: pd.DataFrame) -> pa.Table:
    """All samples, newer versions in the place of the rows that they supersede."""
    new = pa.concat_tables(
        pq.read_table(io.BytesIO(read_bytes(f"{table_url(workspace, 'samples')}/{part.path}")))
        for part in parts
    ).cast(SAMPLES)
    old = tables.read(workspace, "samples").to_pandas()
    gone = old["uri"].isin(set(superseded["uri"]) & set(new["uri"].to_pylist()))
    kept = pa.Table.from_pandas(old[~gone], SAMPLES, preserve_index=False)
    return pa.concat_tables([kept, new])
