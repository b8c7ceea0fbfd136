"""Stages that fit a recipe: check the protocol, fit in a process of its own, measure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skinml.dataset.pixelstore import PixelStore
from skinml.evaluation.judgement import judge_predictions
from skinml.layout import under_way_files_url
from skinml.models.zoo import architecture
from skinml.records.under_way import forget_files
from skinml.requests.training import TrainRequest
from skinml.training import protocols
from skinml.training.dispatch import run_job
from skinml.training.inputs import write_fit_job
from skinml.training.jobs import RANDOM, FitJob, Start
from skinml.training.predictions import predictions
from skinml.training.protocols import Recipe
from skinml.training.results import FitResult
from tasks import artifacts
from tasks.pixels import Samples
from tasks.runs import RunRecord
from tasks.stage import stage

logger = logging.getLogger("skinml.train")


TITLES = {
    "grouped": "grouped protocol",
    "thesis": "thesis protocol",
    "honest": "thesis recipe, whole lesions held out",
}
RECIPES = {"grouped": protocols.grouped, "thesis": protocols.thesis, "honest": protocols.honest}


@dataclass(frozen=True, eq=False)
class Fitted:
    """A recipe, the job that fitted it, its result, its predictions, and what they say of it."""

    title: str
    recipe: Recipe
    job: FitJob
    result: FitResult
    predictions: pa.Table
    judged: dict[str, Any]
    leakage: dict[str, float]

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics on the test images, as the protocol counts them."""
        found: dict[str, Any] = self.judged["metrics"]
        return found


@dataclass(frozen=True)
class Workplace:
    """The folders of a run's jobs.

    Attributes:
        url: a folder in the workspace for files that jobs pass to each other; every machine can see it.
        scratch: a folder on this machine for copies of shards, for jobs that run here.

    """

    url: str
    scratch: Path


@contextmanager
def workplace(workspace: str, record: RunRecord) -> Iterator[Workplace]:
    """Give a run's jobs their folders. If this run is killed, the next one removes them."""
    try:
        yield Workplace(under_way_files_url(workspace, record.run.run_id), record.scratch / "copies")
    finally:
        forget_files(workspace, [record.run.run_id])


@stage("check the protocol", "check the {request.protocol} protocol")
def check_protocol(samples: Samples, request: TrainRequest) -> None:
    """Refuse samples that cannot be trained on, such as a class without a lesion, before the run begins."""
    numbered = samples.rows.assign(position=np.arange(len(samples.rows)))
    needed = ("thesis", "honest") if request.protocol == "thesis" else (request.protocol,)
    for name in needed:
        _recipe(numbered, name, request)


def _recipe(samples: pd.DataFrame, protocol: str, request: TrainRequest) -> Recipe:
    recipe = RECIPES[protocol](samples, request.epochs, request.batch_size)
    frozen = architecture(request.model).frozen
    return protocols.in_one_step(recipe, request.model, request.epochs) if frozen else recipe


@stage("fit", "fit {request.model}, {protocol} protocol")
def fit_model(
    store: PixelStore, protocol: str, request: TrainRequest, place: Workplace, start: Start, export: bool
) -> Fitted:
    """Fit one recipe in a process of its own, and measure it on the images that the recipe holds out."""
    recipe = _recipe(store.samples, protocol, request)
    logger.info(
        "%s: %d training rows, %d for validation, %d for test; %d epochs, batches of %d",
        *(protocol, len(recipe.train), len(recipe.validation), len(recipe.test)),
        *(recipe.epochs, recipe.batch_size),
    )
    job, result = run_fit(store, recipe, request.model, request.seed, place, export, request.cluster, start)
    predicted = predictions(store.samples, recipe, result.probabilities, result.validation)
    judged = judge_predictions(predicted, request.seed)
    leakage = protocols.leakage(store.samples, recipe)
    return Fitted(TITLES[protocol], recipe, job, result, predicted, judged, leakage)


def run_fit(
    store: PixelStore,
    recipe: Recipe,
    model: str,
    seed: int,
    place: Workplace,
    export: bool,
    cluster: str | None = None,
    start: Start = RANDOM,
) -> tuple[FitJob, FitResult]:
    """Fit a recipe on a cluster's GPU or in a process of its own here, and log and show each epoch."""
    name = recipe.name
    job = write_fit_job(store, recipe, model, seed, f"{place.url}/{name}", export, start)
    with artifacts.progress(f"fit-{name}-progress", f"fit {name}", recipe.epochs, "epochs") as bar:

        def on_epoch(epoch: int, values: dict[str, float]) -> None:
            shown = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
            logger.info("%s: epoch %d of %d: %s", recipe.name, epoch, recipe.epochs, shown)
            bar.advance(1)

        return job, run_job(job, place.scratch, on_epoch, cluster)
