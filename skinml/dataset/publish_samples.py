"""Commit a preparation: samples, then quarantine, then the index of pixels, so that a crash loses nothing.

An image is skipped only if it is in both samples and index. So after a crash the next run does the missing
steps again, and rows that are in `samples` already are not added twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.dataset.outcome import record_url
from skinml.dataset.plan import LABELS, Plan
from skinml.dataset.splits import assign
from skinml.dataset.write_shard import ShardDone
from skinml.errors import OverlapError
from skinml.layout import index_url, pending_index_url, shards_url, table_url
from skinml.records.quarantine import quarantine_rows
from skinml.records.runs import Counts
from skinml.schemas import SAMPLES
from skinml.storage.head import check_objects
from skinml.storage.objects import exists, read_bytes, write_bytes
from skinml.storage.removal import delete


def publish_samples(
    workspace: str,
    shards: Sequence[ShardDone],
    plan: Plan,
    groups: Mapping[str, str],
    counts: Counts,
    run_id: str,
    before: tables.Snapshot | None = None,
) -> int | None:
    """Commit new samples, newer versions, corrected labels and changed groups in one commit.

    Samples whose class is dropped now are removed; older versions of the table stay readable.

    Args:
        workspace: normalised URL.
        shards: the results of the workers.
        plan: the plan.
        groups: lesions that a duplicate moved into another group, and their new group.
        counts: of the whole run; they are checked before anything is committed.
        run_id: the run, which is the transaction.
        before: the state of `samples` on which the plan is based; None if it does not matter.

    Returns:
        The version of `samples`, which is the dataset version; None if there are no samples at all.

    Raises:
        OverlapError: another run has changed `samples` since the plan was made.
        RunError: the counts do not add up.
    """
    counts.check()
    parts = [shard.samples for shard in shards if shard.samples is not None]
    if not (plan.superseded or plan.left_out or len(plan.relabelled) or _any_of(groups, workspace)):
        if not parts:
            return tables.version(workspace, "samples")
        regrouped = [_regrouped_part(workspace, part, groups) for part in parts]
        return tables.publish(
            workspace, "samples", regrouped, run_id, partial(_unchanged, workspace, before, regrouped, run_id)
        )
    new = tables.read_parts(workspace, "samples", parts)

    def change(samples: pa.Table) -> pa.Table:
        kept = _without(samples, plan.left_out)
        return regroup(_relabel(_succeed(kept, new, plan.superseded), plan.relabelled), groups)

    return tables.replace(
        workspace, "samples", change, run_id, partial(_unchanged, workspace, before, parts, run_id)
    )


def _unchanged(
    workspace: str,
    before: tables.Snapshot | None,
    parts: Sequence[tables.Part],
    run_id: str,
    now: tables.Snapshot,
) -> tuple[Sequence[tables.Part], str]:
    """Refuse the commit if `samples` has changed since the plan was made.

    Two preparations at the same time would add the same images twice, and miss duplicates between their images.
    """
    if before is None or now.files == before.files:  # not the version: creating the table is a version too
        return parts, run_id
    if not tables.rearranged_only(workspace, "samples", before, now):
        raise OverlapError(
            f"{table_url(workspace, 'samples')} was changed by another run while this one prepared (version "
            f"{before.version} is now {now.version}); nothing was committed: run again, decoded pixels are kept"
        )
    return parts, run_id


def _any_of(groups: Mapping[str, str], workspace: str) -> bool:
    """Whether `samples` has any of these lesions."""
    if not groups:
        return False
    known = tables.read(workspace, "samples", ["lesion_id"])["lesion_id"]
    return bool(pc.any(pc.is_in(known, pa.array(list(groups), pa.string()))).as_py())


def check_shards(workspace: str, dataset_key: str, shards: Sequence[ShardDone]) -> None:
    """Check that the files of all shards exist with their size; other machines may have written them.

    The parts of `samples` are checked by their own commit, which comes first.

    Raises:
        RunError: a file of pixels or of rows is missing or has another size.
    """
    folder = shards_url(workspace, dataset_key)
    check_objects({f"{folder}/{shard.file}": shard.file_bytes for shard in shards if shard.file})
    quarantine = [shard.quarantine for shard in shards if shard.quarantine is not None]
    tables.check_parts(workspace, "quarantine", quarantine)


def publish_pixels(
    workspace: str,
    dataset_key: str,
    shards: Sequence[ShardDone],
    rejected: pd.DataFrame,
    counts: Counts,
    run_id: str,
) -> None:
    """Commit the quarantine, then the index of a dataset's pixels; then delete the records of its shards.

    Args:
        workspace: normalised URL.
        dataset_key: the dataset of the pixels.
        shards: the results of the workers.
        rejected: images refused by the plan: uri, etag, size_bytes, reason, detail.
        counts: of the whole run; they are checked before anything is committed.
        run_id: the run, which is the transaction.

    Raises:
        RunError: the counts do not add up, or a file of pixels is missing or damaged.
    """
    counts.check()
    check_shards(workspace, dataset_key, shards)
    quarantine = [shard.quarantine for shard in shards if shard.quarantine is not None]
    if len(rejected):
        rows = quarantine_rows(rejected, "prepare", run_id)
        quarantine.append(tables.write_part(workspace, "quarantine", rows, f"{run_id}-plan"))
    tables.publish(workspace, "quarantine", quarantine, run_id)

    pending = pending_index_url(workspace, dataset_key)
    if exists(pending) and any(shard.prepared for shard in shards):
        write_bytes(index_url(workspace, dataset_key), read_bytes(pending))
    delete([pending, *(record_url(workspace, dataset_key, shard.number) for shard in shards)])


def regroup(samples: pa.Table, groups: Mapping[str, str]) -> pa.Table:
    """Return the samples with these lesions moved to these groups and to the splits of the groups."""
    before = zip(samples["lesion_id"].to_pylist(), samples["split_group"].to_pylist(), strict=True)
    of_row = [groups.get(lesion, group) for lesion, group in before]
    columns = {"split_group": of_row, "split": assign(of_row)}
    for name, values in columns.items():
        position = samples.schema.get_field_index(name)
        samples = samples.set_column(position, samples.schema.field(name), pa.array(values, pa.string()))
    return samples


def _regrouped_part(workspace: str, part: tables.Part, groups: Mapping[str, str]) -> tables.Part:
    """Return a part with its lesions in their groups; it is written again under its own name if needed."""
    if not groups:
        return part
    lesions = tables.read_parts(workspace, "samples", [part], ["lesion_id"])["lesion_id"].to_pylist()
    if not groups.keys() & set(lesions):
        return part
    name = part.path.removeprefix("part-").removesuffix(".parquet")
    rows = regroup(tables.read_parts(workspace, "samples", [part]), groups)
    return tables.write_part(workspace, "samples", rows, name)


def _succeed(old: pa.Table, new: pa.Table, superseded: Sequence[str]) -> pa.Table:
    """Return all samples, with superseded rows replaced by their newer versions."""
    gone = sorted(set(superseded) & set(new["image_id"].to_pylist()))
    return pa.concat_tables([_without(old, gone), new])


def _without(samples: pa.Table, image_ids: Sequence[str]) -> pa.Table:
    return samples.filter(pc.invert(pc.is_in(samples["image_id"], pa.array(image_ids, pa.string()))))


def _relabel(samples: pa.Table, relabelled: pd.DataFrame) -> pa.Table:
    """Return all samples with corrected labels."""
    if relabelled.empty:
        return samples
    positions = pc.index_in(samples["image_id"], value_set=pa.array(relabelled["image_id"], pa.string()))
    columns = {
        name: pa.array(relabelled[name], SAMPLES.field(name).type, from_pandas=True).take(positions)
        for name in LABELS
    }
    # A lesion that had no sample before is its own group, unless a duplicate links it to another.
    groups = samples.group_by("lesion_id", use_threads=False).aggregate([("split_group", "first")])
    known = pc.index_in(columns["lesion_id"], value_set=groups["lesion_id"])
    columns["split_group"] = pc.coalesce(groups["split_group_first"].take(known), columns["lesion_id"])
    for name, corrected in columns.items():
        column = pc.if_else(pc.is_valid(positions), corrected, samples[name])
        samples = samples.set_column(samples.schema.get_field_index(name), samples.schema.field(name), column)
    return samples
