"""Stages of a preparation: metadata, plan, shards on Dask, commit."""

from __future__ import annotations

import logging
import math
from collections import Counter

import pandas as pd

from skinml import tables
from skinml.config import ClusterRequest
from skinml.dataset.commit import publish_dataset
from skinml.dataset.metadata import Metadata
from skinml.dataset.metadata import read_metadata as read_metadata_table
from skinml.dataset.plan import Plan, make_plan, unmatched
from skinml.dataset.prepare import ShardDone, shard_jobs, write_shard
from skinml.dataset.shards import images_per_shard, read_index
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.runs import Counts, Run
from skinml.storage.objects import write_bytes
from skinml.workspace import report_url, shards_url, table_url
from tasks import artifacts
from tasks.archive import Listing
from tasks.shards import rejections, run_shards
from tasks.stage import stage

logger = logging.getLogger("skinml.prepare")

NAMED = 5
"""How many offenders the log names; the rest are in the run's unmatched.csv."""


@stage("read metadata", "read {metadata}", tags=("storage",))
def read_metadata(metadata: str) -> Metadata:
    """The labels, checked."""
    return read_metadata_table(metadata)


@stage("plan", "plan what is new for {dataset_key}", tags=("storage",))
def plan_dataset(workspace: str, listing: Listing, metadata: Metadata, dataset_key: str) -> Plan:
    """Decide for every listed image whether it is skipped, rejected or to be decoded."""
    known = tables.read(workspace, "quarantine", ["flow", "uri", "etag", "reason"]).to_pandas()
    plan = make_plan(
        listing.images,
        metadata,
        samples=tables.read(workspace, "samples", ["uri", "etag", "image_id"]).to_pandas(),
        index=read_index(workspace, dataset_key).select(["uri", "etag"]).to_pandas(),
        quarantine=known[known["flow"] == "prepare"],
    )
    logger.info(
        "%d images listed (%d other objects ignored): %d to decode, %d known, %d refused by the plan",
        *(plan.listed, listing.ignored, len(plan.work), plan.skipped, len(plan.rejected)),
    )
    return plan


@stage("name what does not match", tags=("storage",))
def name_unmatched(workspace: str, plan: Plan, metadata: Metadata, run: Run) -> dict[str, int]:
    """Write metadata rows without an image and repeated ones to the run's report; return how many of each."""
    rows = unmatched(plan, metadata)
    if len(rows):
        url = report_url(workspace, run.run_id, "unmatched.csv")
        write_bytes(url, rows.to_csv(index=False).encode())
        for problem, group in rows.groupby("problem", sort=False):
            names = ", ".join(group["image_id"].head(NAMED)) + (", …" if len(group) > NAMED else "")
            logger.warning("%d x %s (%s), all named in %s", len(group), problem, names, url)
    return {
        "metadata_without_image": len(plan.metadata_without_image),
        "metadata_repeated": len(metadata.repeated),
        "metadata_conflicting": len(metadata.conflicting),
    }


@stage("decode into shards", "decode into {dataset_key}", tags=("dask",))
def write_shards(
    workspace: str,
    work: pd.DataFrame,
    preprocessing: Preprocessing,
    stored_as: ShardFormat,
    dataset_key: str,
    cluster: ClusterRequest,
    run: Run,
) -> list[ShardDone]:
    """Decode, resize and store the work's images, on Dask workers."""
    shards = math.ceil(len(work) / images_per_shard(preprocessing.size))
    numbers = read_index(workspace, dataset_key)["shard"].to_numpy() if shards else ()
    first = int(max(numbers, default=-1)) + 1
    jobs = shard_jobs(work, first, workspace, preprocessing, stored_as, run.run_id)
    return run_shards(write_shard, jobs, shards, cluster, "prepare-progress", f"decode {len(work)} images")


@stage("commit the dataset", tags=("storage",))
def commit_dataset(
    workspace: str, plan: Plan, shards: list[ShardDone], counts: Counts, dataset_key: str, run: Run
) -> int | None:
    """Check that no image was lost, then publish samples, quarantine and index. The version of `samples`."""
    return publish_dataset(workspace, dataset_key, shards, plan.rejected, plan.superseded, counts, run.run_id)


def count(plan: Plan, shards: list[ShardDone]) -> Counts:
    """What became of the listed images."""
    done = sum(shard.prepared for shard in shards)
    return Counts(plan.listed, plan.skipped, done, rejections(shards).total() + len(plan.rejected))


def count_reasons(plan: Plan, shards: list[ShardDone]) -> dict[str, int]:
    """How many images of this run were quarantined for which reason."""
    return dict(sorted((rejections(shards) + Counter(plan.rejected["reason"])).items()))


@stage("show the result")
def show_prepared(workspace: str, dataset_key: str, result: dict[str, object]) -> None:
    """Counts and links in the Prefect UI."""
    artifacts.show_table("prepare-counts", "What became of the listed images.", [result])
    links = {
        "samples table": table_url(workspace, "samples"),
        "quarantine table": table_url(workspace, "quarantine"),
        "shards": shards_url(workspace, dataset_key),
    }
    artifacts.show_links("prepare-links", "Where the dataset lies", links)
