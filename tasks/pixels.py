"""Stages that make and open pixels: find missing pixels, decode images into shards on Dask workers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import pandas as pd

from skinml import tables
from skinml.compute import call, connect
from skinml.dataset.neighbours import Duplicates
from skinml.dataset.pixelstore import PixelStore, missing_pixels, stored_format
from skinml.dataset.pixelstore import open_pixels as open_pixel_store
from skinml.dataset.publish_samples import publish_pixels
from skinml.dataset.resume import Resumption, resume
from skinml.dataset.samples import samples_version
from skinml.dataset.shards import cut
from skinml.dataset.survey import SurveyJob, find_duplicates, write_pending_index
from skinml.dataset.totals import add_up
from skinml.dataset.write_shard import ShardDone, ShardJob, shard_jobs, write_shard
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.layout import Archive
from skinml.records.runs import Counts, Run
from skinml.requests.base import ClusterRequest
from skinml.storage.spelling import resolve_rows
from skinml.words import several
from tasks.cluster import workspace_check
from tasks.shards import run_shards
from tasks.stage import stage

logger = logging.getLogger("skinml.pixels")


@dataclass(frozen=True, eq=False)
class Samples:
    """The rows of `samples` for training, and the table's version, which makes a run repeatable."""

    rows: pd.DataFrame
    version: int


@stage("read the samples")
def read_samples(workspace: str, at: int | None = None) -> Samples:
    """Read all samples at one version of the table; None: the newest."""
    version = samples_version(workspace) if at is None else at
    return Samples(resolve_rows(tables.read(workspace, "samples", at=version)).to_pandas(), version)


@dataclass(frozen=True, eq=False)
class Missing:
    """The dataset that a model needs, and the samples that have no pixels in it."""

    dataset_key: str
    stored_as: ShardFormat
    work: pd.DataFrame


@stage("find missing pixels", "find samples without pixels at {preprocessing.size} px")
def find_missing(workspace: str, samples: Samples, preprocessing: Preprocessing) -> Missing:
    """Find the samples to decode, from the uris in `samples`, before the model can be trained."""
    stored_as = stored_format(workspace, preprocessing, samples.rows)
    dataset_key = preprocessing.dataset_key(stored_as)
    work = missing_pixels(workspace, dataset_key, samples.rows)
    logger.info("%d of %d samples have no pixels in %s yet", len(work), len(samples.rows), dataset_key)
    return Missing(dataset_key, stored_as, work)


@stage("commit the pixels")
def commit_pixels(workspace: str, missing: Missing, shards: list[ShardDone], run: Run) -> None:
    """Check that no image was lost, then commit the index and quarantine images that cannot be read now."""
    totals = add_up(shards)
    rejected = totals.reasons.total()
    counts = Counts(listed=len(missing.work), done=totals.prepared, quarantined=rejected)
    refused = pd.DataFrame()
    publish_pixels(workspace, missing.dataset_key, shards, refused, counts, run.run_id)
    if rejected:
        logger.warning("%d samples cannot be read any more; the quarantine has the reasons", rejected)


@stage("open the pixels")
def open_pixels(workspace: str, samples: Samples, missing: Missing) -> PixelStore:
    """Open the pixels of all samples."""
    store = open_pixel_store(workspace, missing.dataset_key, missing.stored_as, samples.rows)
    lost = len(samples.rows) - len(store.samples)
    if lost:
        logger.warning("training without %d samples that have no pixels", lost)
    return store


def make_pixels(
    workspace: str, samples: Samples, missing: Missing, pixels: Preprocessing, cluster: ClusterRequest, run: Run
) -> PixelStore:
    """Decode and commit the pixels that are missing, and open those of all samples: three stages."""
    shards, _ = write_shards(
        workspace, missing.work, pixels, missing.stored_as, missing.dataset_key, cluster, run
    )
    commit_pixels(workspace, missing, shards, run)
    return open_pixels(workspace, samples, missing)


NONE_CORRECTED = pd.DataFrame({"image_id": [], "lesion_id": []}, dtype="str")


def write_shards(
    workspace: str,
    work: pd.DataFrame,
    preprocessing: Preprocessing,
    stored_as: ShardFormat,
    dataset_key: str,
    cluster: ClusterRequest,
    run: Run,
    corrected: pd.DataFrame = NONE_CORRECTED,
    archives: Sequence[Archive] | None = None,
) -> tuple[list[ShardDone], Duplicates]:
    """Decode, resize and store the work's images on Dask workers; then find duplicates among all samples.

    Finished shards of an interrupted run are taken over. `corrected` are samples whose lesion_id may have
    changed. Every image must be in one of `archives`.
    """
    if work.empty:
        return [], find_duplicates(SurveyJob(workspace, dataset_key, (), (), corrected))
    before = find_finished(workspace, dataset_key, work)
    return decode(workspace, before, preprocessing, stored_as, dataset_key, cluster, run, corrected, archives)


@stage("find finished shards")
def find_finished(workspace: str, dataset_key: str, work: pd.DataFrame) -> Resumption:
    """Find shards of this work that an interrupted run has finished."""
    before = resume(workspace, dataset_key, work)
    if before.finished:
        left = len(before.left)
        logger.info("an interrupted run has decoded %d of these images, %d are left", len(work) - left, left)
    return before


# Not retried as a whole, because each shard is retried alone.
@stage("decode into shards", "decode into {dataset_key}", retried=False)
def decode(
    workspace: str,
    before: Resumption,
    preprocessing: Preprocessing,
    stored_as: ShardFormat,
    dataset_key: str,
    cluster: ClusterRequest,
    run: Run,
    corrected: pd.DataFrame,
    archives: Sequence[Archive] | None,
) -> tuple[list[ShardDone], Duplicates]:
    """Take over finished shards, decode the other images, find duplicates."""
    roots = None if archives is None else tuple(archive.url for archive in archives)
    finished = (
        ShardJob(number, images, workspace, preprocessing, stored_as, run.run_id, roots, finished=True)
        for number, images in before.finished.items()
    )
    new = shard_jobs(before.left, before.first, workspace, preprocessing, stored_as, run.run_id, roots)
    shards = len(before.finished) + len(cut(before.left["size_bytes"].to_numpy(), preprocessing.size))
    with connect(cluster.cluster, cluster.workers, shards) as client:
        images = len(before.left) + sum(len(images) for images in before.finished.values())
        description = f"decode {several(images, 'image')}"
        jobs = chain(finished, new)
        sees = workspace_check(workspace, cluster, run)
        done = run_shards(client, write_shard, jobs, shards, "prepare-progress", description, sees)
        numbers = [shard.number for shard in done]
        samples = [shard.samples for shard in done if shard.samples is not None]
        job = SurveyJob(workspace, dataset_key, numbers, samples, corrected)
        duplicates, _ = call(client, partial(find_duplicates, job), partial(write_pending_index, job))
        return done, duplicates
