"""Publish what the shards of a preparation left: samples, quarantine, index, in an order that a crash survives.

Samples come before the index: an image is skipped only if it is in both, so whatever a crash leaves out is
decoded again by the next run, and what is in `samples` already is not added twice.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skinml import tables
from skinml.dataset.prepare import ShardDone
from skinml.dataset.shards import read_index, write_index
from skinml.quarantine import quarantine_rows
from skinml.runs import Counts
from skinml.schemas import INDEX, SAMPLES
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
    version: int | None
    if parts and len(superseded):
        new = _rows_of(workspace, parts)
        version = tables.replace(workspace, "samples", lambda old: _succeed(old, new, superseded), run_id)
    else:
        version = tables.publish(workspace, "samples", parts, run_id)

    quarantine = [shard.quarantine for shard in shards if shard.quarantine is not None]
    if len(rejected):
        rows = quarantine_rows(rejected, "prepare", run_id)
        quarantine.append(tables.write_part(workspace, "quarantine", rows, f"{run_id}-plan"))
    tables.publish(workspace, "quarantine", quarantine, run_id)

    located = [shard.index for shard in sorted(shards, key=lambda shard: shard.number) if shard.prepared]
    if located:
        write_index(workspace, dataset_key, _extended(read_index(workspace, dataset_key), located))
    return version


def _rows_of(workspace: str, parts: Sequence[tables.Part]) -> pa.Table:
    """The samples that unpublished parts hold."""
    return pa.concat_tables(
        pq.read_table(io.BytesIO(read_bytes(f"{table_url(workspace, 'samples')}/{part.path}")))
        for part in parts
    ).cast(SAMPLES)


def _succeed(old: pa.Table, new: pa.Table, superseded: pd.DataFrame) -> pa.Table:
    """All samples, newer versions in the place of the rows that they supersede."""
    gone = set(superseded["uri"]) & set(new["uri"].to_pylist())
    kept = old.filter(pc.invert(pc.is_in(old["uri"], pa.array(sorted(gone), pa.string()))))
    return pa.concat_tables([kept, new])


def _extended(index: pa.Table, new: Sequence[pa.Table]) -> pa.Table:
    """The index with new rows. The newest stands for an image whose pixels were made again.

    That happens when a file is put back as it was, and when this very commit is tried a second time.
    """
    rows = pa.concat_tables([index, *new]).to_pandas().drop_duplicates(["uri", "etag"], keep="last")
    return pa.Table.from_pandas(rows, INDEX, preserve_index=False)
