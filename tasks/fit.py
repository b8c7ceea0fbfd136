"""Stages that fit a recipe: check the protocol, fit in a process of its own, measure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skinml.dataset.pixelstore import PixelStore
from skinml.errors import SkinmlError
from skinml.evaluation.judgement import judge_predictions
from skinml.layout import under_way_files_url
from skinml.models.zoo import architecture
from skinml.records.under_way import forget_files
from skinml.requests.training import TrainRequest
from skinml.training import protocols
from skinml.training.checkpoints import forget, saved_epochs
from skinml.training.dispatch import run_job
from skinml.training.inputs import write_fit_job
from skinml.training.jobs import RANDOM, FitJob, SoftLabels, Start
from skinml.training.predictions import predictions
from skinml.training.protocols import Recipe
from skinml.training.results import FitResult
from skinml.training.settings import NamedRecipe, choose, in_words
from skinml.words import several
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


@dataclass(frozen=True, eq=False)
class Unjudged:
    """A recipe, the job that fitted it, and its result."""

    protocol: str
    recipe: Recipe
    job: FitJob
    result: FitResult


@dataclass(frozen=True, eq=False)
class Fitted(Unjudged):
    """The same with its predictions, and what they say of it."""

    title: str
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
        fits: the fits that were done, whose checkpoints are kept until their results are.

    """

    url: str
    scratch: Path
    fits: list[FitJob] = field(default_factory=list)


@contextmanager
def workplace(workspace: str, record: RunRecord) -> Iterator[Workplace]:
    """Give a run's jobs their folders. If this run is killed, the next one removes them."""
    try:
        yield Workplace(under_way_files_url(workspace, record.run.run_id), record.scratch / "copies")
    finally:
        forget_files(workspace, [record.run.run_id])


def forget_checkpoints(place: Workplace) -> None:
    """Remove the checkpoints of a run's fits, because what they were made for is in the workspace."""
    for job in place.fits:
        try:
            forget(job)
        except SkinmlError as error:  # the results are safe; `compact` removes old checkpoints
            logger.warning("a checkpoint could not be removed: %s", error)


@stage("check the protocol", "check the {request.protocol} protocol")
def check_protocol(samples: Samples, request: TrainRequest) -> None:
    """Refuse samples that cannot be trained on, such as a class without a lesion, before the run begins."""
    numbered = samples.rows.assign(position=np.arange(len(samples.rows)))
    needed = ("thesis", "honest") if request.protocol == "thesis" else (request.protocol,)
    for name in needed:
        _recipe(numbered, name, request)


def _recipe(samples: pd.DataFrame, protocol: str, request: TrainRequest) -> Recipe:
    """Return what to fit on and how, as the request says; the thesis's protocols fit as the thesis did."""
    if protocol == "grouped":
        chosen = chosen_recipe(request)
        recipe = protocols.grouped(samples, chosen.epochs, chosen.batch_size, chosen.settings)
        frozen = architecture(request.model).frozen
        return protocols.in_one_step(recipe, request.model, request.epochs) if frozen else recipe
    function = {"thesis": protocols.thesis, "honest": protocols.honest}[protocol]
    return function(samples, request.epochs, request.batch_size)


def chosen_recipe(request: TrainRequest) -> NamedRecipe:
    """Return the named recipe that a request asks for, with its changes."""
    shape = architecture(request.model)
    pretrained = shape.weights is not None and not shape.frozen
    return choose(request.recipe, pretrained, request.switched(), request.epochs, request.batch_size)


@stage("fit", "fit {request.model}, {protocol} protocol")
def fit_model(
    store: PixelStore,
    protocol: str,
    request: TrainRequest,
    place: Workplace,
    start: Start,
    soft_labels: SoftLabels | None = None,
) -> Unjudged:
    """Fit one recipe in a process of its own, whose network is exported. `finish_bundle` measures it."""
    return _fit(store, protocol, request, place, start, export=True, soft_labels=soft_labels)


@stage("fit", "fit {request.model}, honest protocol")
def refit_honestly(store: PixelStore, request: TrainRequest, place: Workplace, start: Start) -> Fitted:
    """Fit the thesis's recipe with whole lesions held out, and measure it on these. It leaves no network."""
    return judge_fit(store, _fit(store, "honest", request, place, start, export=False), request.seed)


def _fit(
    store: PixelStore,
    protocol: str,
    request: TrainRequest,
    place: Workplace,
    start: Start,
    export: bool,
    soft_labels: SoftLabels | None = None,
) -> Unjudged:
    """Fit one recipe in a process of its own."""
    recipe = _recipe(store.samples, protocol, request)
    logger.info(
        "%s: %d training rows, %d for validation, %d for test; %s, batches of %d; %s",
        *(protocol, len(recipe.train), len(recipe.validation), len(recipe.test)),
        *(several(recipe.epochs, "epoch"), recipe.batch_size, in_words(recipe.settings)),
    )
    job, result = run_fit(
        store, recipe, request.model, request.seed, place, export, request.cluster, soft_labels, start
    )
    return Unjudged(protocol, recipe, job, result)


def judge_fit(store: PixelStore, fit: Unjudged, seed: int) -> Fitted:
    """Measure a fit by its probabilities of the images that its recipe holds out."""
    result = fit.result
    predicted = predictions(store.samples, fit.recipe, result.probabilities, result.validation)
    judged = judge_predictions(predicted, seed)
    leakage = protocols.leakage(store.samples, fit.recipe)
    return Fitted(fit.protocol, fit.recipe, fit.job, result, TITLES[fit.protocol], predicted, judged, leakage)


def run_fit(
    store: PixelStore,
    recipe: Recipe,
    model: str,
    seed: int,
    place: Workplace,
    export: bool,
    cluster: str | None = None,
    soft_labels: SoftLabels | None = None,
    start: Start = RANDOM,
) -> tuple[FitJob, FitResult]:
    """Fit a recipe on a cluster's GPU or in a process of its own here, and log and show each epoch."""
    name = recipe.name
    job = write_fit_job(store, recipe, model, seed, f"{place.url}/{name}", export, soft_labels, start)
    place.fits.append(job)
    done, total, seconds = saved_epochs(job), recipe.epochs, list[float]()
    with artifacts.progress(f"fit-{name}-progress", f"fit {name}", total, "epochs", done) as bar:

        def on_epoch(epoch: int, values: dict[str, float]) -> None:
            seconds.append(values["seconds"])
            logger.info("%s: epoch %d of %d: %s", name, epoch, total, epoch_in_words(values))
            bar.advance(1)

        result = run_job(job, place.scratch, on_epoch, cluster)
    if result.pace:
        logger.info(
            "%s: %d epochs in %.0f s, %.0f images/s; the network waited %.1f s for its images",
            *(name, len(seconds), sum(seconds), mean(result.pace["images_per_second"])),
            sum(result.pace["waited"]),
        )
    return job, result


def epoch_in_words(values: dict[str, float]) -> str:
    """An epoch's figures on one line: loss 1.234, ..., 812 images/s, waited 0.1 s."""
    apart = ("seconds", "images_per_second", "waited")
    shown = [f"{name} {value:.3f}" for name, value in values.items() if name not in apart]
    pace = f"{values['images_per_second']:,.0f} images/s, waited {values['waited']:.1f} s"
    return ", ".join([*shown, pace])
