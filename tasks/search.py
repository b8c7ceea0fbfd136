"""Stages of a search: draw the images, try networks on Dask workers, choose the best one, write the table."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from skinml.compute import connect, map_shards
from skinml.dataset.pixelstore import PixelStore
from skinml.dataset.shard_files import map_shards as map_pixels
from skinml.errors import RequestError, RunError
from skinml.labels import encode
from skinml.layout import report_url
from skinml.models import registry
from skinml.models.manifest import Manifest
from skinml.models.searched_structure import MILLION
from skinml.records.runs import Run
from skinml.requests.search import SearchRequest
from skinml.search.images import Images, draw_images
from skinml.search.plan import Search, next_jobs, plan_search
from skinml.search.run_trial import leave_record, run_trial
from skinml.search.space import load_keras_tuner
from skinml.search.trials import (
    MOST_BYTES,
    REFERENCE,
    Trial,
    TrialJob,
    best_of,
    cost_of,
    failed,
    read_trials,
    row_of,
    structure_of_model,
    table_of,
)
from skinml.storage.objects import exists, read_bytes, write_bytes
from skinml.storage.parquet import as_parquet
from skinml.training.pixels import gather
from tasks import artifacts
from tasks.cluster import workspace_check
from tasks.pixels import Samples
from tasks.stage import stage

logger = logging.getLogger("skinml.search")

SHOWN = (
    *("trial", "status", "balanced_accuracy", "accuracy", "parameters", "multiply_adds", "epochs", "seconds"),
    *("network", "reason"),
)
"""The columns of the table that people are shown; the files have all of them."""


@dataclass(frozen=True)
class Searched:
    """What a search found.

    Attributes:
        trials: those that were asked for, in order.
        reference: the thesis's network on the same images.
        best: the best of the trials.
        files: URLs of the table of trials.
    """

    trials: tuple[Trial, ...]
    reference: Trial | None
    best: Trial
    files: tuple[str, ...]

    @property
    def failed(self) -> int:
        """How many trials could not be measured."""
        return sum(trial.status == "failed" for trial in self.trials)

    def rows(self) -> list[dict[str, Any]]:
        """The trials for people, best first."""
        order = sorted(self.trials, key=lambda trial: -(trial.score or -1))
        return [{name: row_of(trial)[name] for name in SHOWN} for trial in order]

    def summary(self, trial: Trial) -> dict[str, Any]:
        """One trial with its structure."""
        row = row_of(trial)
        return {**{name: row[name] for name in SHOWN if row[name] != ""}, "model": trial.model}


@stage("check the samples")
def check_draw(samples: Samples, request: SearchRequest) -> None:
    """Refuse samples that cannot be searched on, such as a class without a training lesion."""
    numbered = samples.rows.assign(position=np.arange(len(samples.rows)))
    draw_images(numbered, encode(numbered["dx"]), request.per_class, request.seed)


@stage("draw the images", "draw {request.per_class} images of each class")
def draw(workspace: str, store: PixelStore, request: SearchRequest, scratch: Path) -> Search:
    """Draw the images of the search and put them into its folder."""
    drawn = draw_images(store.samples, store.labels, request.per_class, request.seed)
    for name, count in drawn.repeated.items():
        logger.warning(
            "%s has %d training images, fewer than %d: some are drawn more than once",
            *(name, count, request.per_class),
        )
    logger.info(
        "%d images to fit on, %d of other lesions to compare by", len(drawn.train), len(drawn.validation)
    )
    shards = map_pixels(workspace, store.dataset_key, store.stored_as, store.shards, scratch)
    images = Images(
        *(gather(shards, drawn.train), store.labels[drawn.train]),
        *(gather(shards, drawn.validation), store.labels[drawn.validation]),
    )
    limit = round(request.max_multiply_adds * MILLION)
    return plan_search(workspace, images, request.epochs, request.seed, request.at_once, limit)


# Not retried as a whole, because each trial is retried alone, and finished ones are taken over.
@stage("try networks", "try {request.trials} networks", retried=False)
def try_networks(
    workspace: str, search: Search, request: SearchRequest, run: Run
) -> tuple[dict[int, Trial], int]:
    """Fit the trials that no earlier run has finished.

    Returns:
        All trials by number, with the thesis's network, and how many an earlier run had finished.
    """
    finished = {number: one for number, one in read_trials(search.folder).items() if number <= request.trials}
    before = len(finished.keys() - {REFERENCE})
    if before:
        logger.info("an earlier run has finished %d of %d trials", before, request.trials)
    left = request.trials + 1 - len(finished)
    if not left:
        return finished, before

    def killed(job: TrialJob, reason: str) -> Trial:
        trial = failed(job, reason)
        leave_record(job, trial)
        return trial

    load_keras_tuner()  # before a progress bar is drawn: what it prints is held back
    best = best_of(finished.values())
    check = workspace_check(workspace, request, run)
    with (
        connect(request.cluster, request.workers, min(left, request.at_once)) as client,
        artifacts.progress("search-progress", f"try {left} networks", left, "trials") as bar,
    ):
        jobs = next_jobs(search, request.trials, finished)
        for trial in map_shards(client, run_trial, jobs, check, left, killed):
            finished[trial.number] = trial
            best = best_of(finished.values())
            bar.advance(1)
            logger.info("%s; best so far: %s", _said(trial, request.trials), _scored(best))
    return finished, before


def _said(trial: Trial, trials: int) -> str:
    name = "the thesis's network" if trial.number == REFERENCE else f"trial {trial.number} of {trials}"
    if trial.measured is None:
        return f"{name} failed: {trial.reason}"
    size = cost_of(trial).multiply_adds / MILLION
    return f"{name}: {_scored(trial)} in {trial.measured.seconds:.0f} s, {size:.1f} million multiply-adds"


def _scored(trial: Trial | None) -> str:
    return "none" if trial is None or trial.score is None else f"balanced accuracy {trial.score:.3f}"


@stage("choose the best network")
def choose(workspace: str, finished: dict[int, Trial], request: SearchRequest, run: Run) -> Searched:
    """Choose the best trial, and write the table of all of them into the run's report.

    Raises:
        RunError: no trial could be measured.
    """
    trials = tuple(trial for number, trial in sorted(finished.items()) if number != REFERENCE)
    if len(trials) < request.trials:
        logger.warning("the space has no more than %d networks of this size", len(trials))
    best = best_of(trials)
    if best is None:
        reason = trials[0].reason if trials else "no network of this size"
        raise RunError(f"none of {len(trials)} trials could be measured; the first one: {reason}")
    reference = finished.get(REFERENCE)
    files = tuple(report_url(workspace, run.run_id, name) for name in ("trials.csv", "trials.parquet"))
    table = table_of(finished.values())
    for url, data in zip(files, (_csv(table), as_parquet(table)), strict=True):
        write_bytes(url, data)
    bad = sum(trial.status == "failed" for trial in trials)
    logger.info("%d trials: %d measured, %d failed", len(trials), len(trials) - bad, bad)
    logger.info("best: trial %d, %s: %s", best.number, _scored(best), structure_of_model(best.model))
    logger.info("the thesis's network on the same images: %s", _scored(reference))
    return Searched(trials, reference, best, files)


def _csv(table: pa.Table) -> bytes:
    buffer = pa.BufferOutputStream()
    pacsv.write_csv(table, buffer)
    return buffer.getvalue().to_pybytes()


def add_trials(bundle: Path, searched: Searched) -> None:
    """Put the table of trials into the best network's bundle."""
    everything = [*searched.trials, *([searched.reference] if searched.reference else [])]
    (bundle / "trials.parquet").write_bytes(as_parquet(table_of(everything)))


@stage("find the version")
def find_registered(workspace: str, search: Search, best: Trial) -> Manifest | None:
    """The version that an earlier run has made of this trial, so that test lesions are not read again."""
    url = _registered_url(search, best)
    if not exists(url):
        return None
    try:
        manifest = registry.find(workspace, read_bytes(url, MOST_BYTES).decode().strip())
    except (RequestError, UnicodeDecodeError) as error:  # it was deleted since
        logger.warning("%s names no version any more (%s); the network is fitted again", url, error)
        return None
    logger.info("an earlier run has registered this network as %s", manifest.version)
    return manifest


@stage("remember the version")
def remember(search: Search, best: Trial, manifest: Manifest) -> None:
    """Note in the search's folder which version was made of the trial."""
    write_bytes(_registered_url(search, best), manifest.version.encode())


def _registered_url(search: Search, best: Trial) -> str:
    return f"{search.folder}/registered-{best.number:04d}.txt"


def show_searched(searched: Searched) -> None:
    """Show the trials in the Prefect UI, best first."""
    artifacts.show_table("search-trials", "Networks on validation lesions, best first.", searched.rows())
