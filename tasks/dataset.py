"""Stages of a preparation: metadata, plan, checks, duplicates, commit."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from skinml import tables
from skinml.dataset.metadata import Metadata
from skinml.dataset.metadata import read_metadata as read_metadata_tables
from skinml.dataset.neighbours import Duplicates
from skinml.dataset.outcome import forget_rejected
from skinml.dataset.plan import LABELS, Plan, likeliest_reason, make_plan, unmatched
from skinml.dataset.publish_samples import check_shards, publish_pixels, publish_samples
from skinml.dataset.shards import read_index
from skinml.dataset.totals import Totals, add_up
from skinml.dataset.write_shard import ShardDone
from skinml.errors import RunError, SkinmlError
from skinml.layout import report_url
from skinml.records.max_quarantined import COLUMNS, check_quarantined
from skinml.records.runs import Counts, Run
from skinml.schemas import IMAGE_VERSION
from skinml.storage.listed import in_words
from skinml.storage.objects import write_bytes
from skinml.storage.spelling import resolve_rows
from skinml.storage.urls import as_uri
from tasks.listing import Listing
from tasks.shards import rejected_rows
from tasks.stage import stage

logger = logging.getLogger("skinml.dataset")

NAMED = 5
"""How many examples the log names; all are in the run's unmatched.csv."""


def _tables(parameters: dict[str, Any]) -> str:
    return f"read {', '.join(parameters['metadata'])}"


@stage("read metadata", _tables)
def read_metadata(
    metadata: Sequence[str], mapped: Sequence[str], dropped: Sequence[str], lesions_needed: bool = True
) -> Metadata:
    """Read and check the labels; log how each table was read.

    If lesions are not needed, an image without a lesion_id is a lesion of its own.
    """
    found = read_metadata_tables(metadata, mapped, dropped, lesions_needed=lesions_needed)
    for note in found.notes:
        logger.info("%s", note)
    return found


@stage("plan", "plan what is new for {dataset_key}")
def plan_dataset(workspace: str, listing: Listing, metadata: Metadata, dataset_key: str) -> Plan:
    """Decide for every listed image whether to skip, reject or decode it."""
    known = resolve_rows(tables.read(workspace, "quarantine", ["flow", "uri", "etag", "reason"])).to_pandas()
    columns = [*IMAGE_VERSION, "image_id", "split_group", *LABELS]
    before = tables.snapshot(workspace, "samples")
    plan = make_plan(
        listing.images,
        metadata,
        samples=resolve_rows(tables.read(workspace, "samples", columns)).to_pandas(),
        index=read_index(workspace, dataset_key).select(IMAGE_VERSION).to_pandas(),
        quarantine=known[known["flow"] == "prepare"],
        roots=[as_uri(archive.url) for archive in listing.archives],
    )
    plan = replace(plan, before=before)
    logger.info(
        "%d images listed, passed over: %s; %d to decode, %d skipped, %d rejected by the plan",
        *(plan.listed, in_words(listing.passed_over)),
        *(len(plan.work), plan.skipped, len(plan.rejected)),
    )
    if plan.dropped:
        logger.info("%d of the skipped images are left out, because --drop names their class", plan.dropped)
    if plan.left_out:
        logger.warning(
            "%d samples of earlier runs are removed, because --drop names their class", len(plan.left_out)
        )
    if plan.respelled:
        ways = ", ".join(f"{way} {count}" for way, count in plan.respelled.items())
        logger.info("matched image_ids that the metadata spells differently from the files (%s)", ways)
    if len(plan.relabelled):
        logger.info("the metadata of %d samples has changed; they are updated", len(plan.relabelled))
    return plan


@stage("check what the plan refuses")
def check_plan(workspace: str, plan: Plan, most_quarantined: float, run: Run) -> None:
    """Fail before anything is decoded if too many images have no metadata or a duplicate image_id."""
    bad = Counter(plan.rejected["reason"])
    rows = partial(_rejected, plan)
    advice = likeliest_reason(plan)
    check_quarantined(workspace, run.run_id, bad, len(plan.work), most_quarantined, rows, advice)


@stage("check what cannot be used")
def check_outcome(
    workspace: str,
    plan: Plan,
    shards: list[ShardDone],
    totals: Totals,
    dataset_key: str,
    most_quarantined: float,
    run: Run,
) -> None:
    """Fail before anything is committed if too many images cannot be used; decoded pixels are kept."""

    def rows() -> pa.Table:
        by_plan = _rejected(plan)
        return pa.concat_tables([by_plan, rejected_rows(workspace, shards).cast(by_plan.schema)])

    try:
        check_quarantined(workspace, run.run_id, totals.reasons, totals.prepared, most_quarantined, rows)
    except RunError:
        with suppress(SkinmlError):  # what is wrong is said already
            forget_rejected(workspace, dataset_key, [shard.number for shard in shards if shard.rejected])
        raise


def _rejected(plan: Plan) -> pa.Table:
    schema = pa.schema([(column, pa.string()) for column in COLUMNS])
    return pa.Table.from_pandas(plan.rejected[list(COLUMNS)], schema, preserve_index=False)


@stage("name what does not match")
def name_unmatched(workspace: str, plan: Plan, run: Run) -> dict[str, int]:
    """Write metadata rows without an image and repeated ones to the run's report; return how many of each."""
    rows = unmatched(plan)
    if len(rows):
        url = report_url(workspace, run.run_id, "unmatched.csv")
        write_bytes(url, rows.to_csv(index=False).encode())
        for problem, group in rows.groupby("problem", sort=False):
            names = ", ".join(group["image_id"].head(NAMED)) + (", …" if len(group) > NAMED else "")
            logger.warning("%d x %s (%s); %s lists them all", len(group), problem, names, url)
    return {
        "metadata_without_image": len(plan.metadata_without_image),
        "metadata_removed": len(plan.metadata_removed),
        "metadata_repeated": len(plan.metadata_repeated),
        "metadata_conflicting": len(plan.metadata_conflicting),
    }


@stage("report duplicates")
def report_duplicates(workspace: str, duplicates: Duplicates, run: Run) -> dict[str, int]:
    """Write the pairs of duplicates to the run's report; return how many of each kind."""
    if len(duplicates.pairs):
        url = report_url(workspace, run.run_id, "duplicates.csv")
        write_bytes(url, duplicates.pairs.to_csv(index=False).encode())
        logger.warning("%s; %s lists every pair", duplicates.said(), url)
    return duplicates.counts()


@stage("commit the dataset")
def commit_dataset(
    workspace: str,
    plan: Plan,
    shards: list[ShardDone],
    duplicates: Duplicates,
    counts: Counts,
    dataset_key: str,
    run: Run,
) -> int | None:
    """Check that no image was lost, then publish samples, quarantine and index. The version of `samples`."""
    check_shards(workspace, dataset_key, shards)  # before `samples` names what they hold
    version = publish_samples(workspace, shards, plan, duplicates.groups, counts, run.run_id, plan.before)
    publish_pixels(workspace, dataset_key, shards, plan.rejected, counts, run.run_id)
    return version


def sum_up(plan: Plan, shards: list[ShardDone]) -> tuple[Totals, Counts]:
    """Count the outcomes of the listed images; log how many have a colour profile other than sRGB."""
    totals = add_up(shards, plan.rejected["reason"].to_list())
    if totals.colour_profiles:
        logger.info("%d images have a colour profile other than sRGB", totals.colour_profiles)
    return totals, Counts(plan.listed, plan.skipped, totals.prepared, totals.reasons.total())
