"""Stages of a training run: samples, pixels, fit in a process of its own, register."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinml import tables
from skinml.config import TrainRequest
from skinml.dataset.commit import publish_pixels
from skinml.dataset.pixelstore import PixelStore, missing_pixels, stored_format
from skinml.dataset.pixelstore import open_pixels as open_pixel_store
from skinml.dataset.prepare import ShardDone
from skinml.errors import RequestError
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.models import registry
from skinml.models.manifest import Manifest
from skinml.models.precisions import explain
from skinml.runs import Counts, Run, library_versions
from skinml.storage.spelling import resolve_rows
from skinml.training import protocols
from skinml.training.finish import Finished, FinishJob, finish
from skinml.training.fit import FitJob, FitResult, fit
from skinml.training.metrics import measure
from skinml.training.process import run_in_process
from skinml.training.protocols import Recipe
from skinml.workspace import model_url
from tasks import artifacts
from tasks.shards import rejections
from tasks.stage import stage

logger = logging.getLogger("skinml.train")

HEADLINE = ("accuracy", "balanced_accuracy", "macro_auc", "melanoma_sensitivity")
TITLES = {
    "grouped": "grouped protocol",
    "thesis": "thesis protocol",
    "honest": "thesis recipe, whole lesions held out",
}
RECIPES = {"grouped": protocols.grouped, "thesis": protocols.thesis, "honest": protocols.honest}


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples table as training sees it, and the version that makes a run repeatable."""

    rows: pd.DataFrame
    version: int


@dataclass(frozen=True, eq=False)
class Fitted:
    """A recipe, what fitting it gave, and how well it does on test images of which it saw so many before."""

    title: str
    recipe: Recipe
    result: FitResult
    metrics: dict[str, Any]
    leakage: dict[str, float]

    def measurements(self) -> dict[str, Any]:
        """What `metrics.json` keeps of it."""
        return {
            "metrics": self.metrics,
            "leakage": self.leakage,
            "history": self.result.history,
            "best_epoch": self.result.best_epoch,
            "fit_seconds": self.result.seconds,
        }


@stage("read the samples", tags=("storage",))
def read_samples(workspace: str) -> Samples:
    """All samples, at one version of the table."""
    version = tables.version(workspace, "samples")
    if version is None:
        raise RequestError(f"{workspace}: no samples yet; run skinml prepare first")
    return Samples(resolve_rows(tables.read(workspace, "samples", at=version)).to_pandas(), version)


@stage("check the protocol", "check the {request.protocol} protocol")
def check_protocol(samples: Samples, request: TrainRequest) -> None:
    """Refuse what cannot be trained on, such as a class without a lesion, before anything is written."""
    numbered = samples.rows.assign(position=np.arange(len(samples.rows)))
    needed = ("thesis", "honest") if request.protocol == "thesis" else (request.protocol,)
    for name in needed:
        RECIPES[name](numbered, request.epochs, request.batch_size)


@dataclass(frozen=True, eq=False)
class Missing:
    """The dataset that a model needs, and the samples that it has no pixels of."""

    dataset_key: str
    stored_as: ShardFormat
    work: pd.DataFrame


@stage("find missing pixels", "find samples without pixels at {preprocessing.size} px", tags=("storage",))
def find_missing(workspace: str, samples: Samples, preprocessing: Preprocessing) -> Missing:
    """What is left to decode, from the sources that `samples` records, before the model can be fitted."""
    stored_as = stored_format(workspace, preprocessing, samples.rows)
    dataset_key = preprocessing.dataset_key(stored_as)
    work = missing_pixels(workspace, dataset_key, samples.rows)
    logger.info("%d of %d samples have no pixels in %s yet", len(work), len(samples.rows), dataset_key)
    return Missing(dataset_key, stored_as, work)


@stage("commit the pixels", tags=("storage",))
def commit_pixels(workspace: str, missing: Missing, shards: list[ShardDone], run: Run) -> None:
    """Check that no image was lost, then publish the index, and quarantine what can no longer be read."""
    done = sum(shard.prepared for shard in shards)
    rejected = rejections(shards).total()
    counts = Counts(listed=len(missing.work), done=done, quarantined=rejected)
    refused = pd.DataFrame()
    publish_pixels(workspace, missing.dataset_key, shards, refused, counts, run.run_id)
    if rejected:
        logger.warning("%d samples can no longer be used; the quarantine says why", rejected)


@stage("open the pixels", tags=("storage",))
def open_pixels(workspace: str, samples: Samples, missing: Missing, folder: Path) -> PixelStore:
    """The pixels as memory-mappable files on this machine."""
    store = open_pixel_store(workspace, missing.dataset_key, missing.stored_as, samples.rows, folder)
    lost = len(samples.rows) - len(store.samples)
    if lost:
        logger.warning("training without %d samples that have no pixels", lost)
    return store


@stage("fit", "fit {request.model}, {protocol} protocol", tags=("train",))
def fit_model(store: PixelStore, protocol: str, request: TrainRequest, out: Path, export: bool) -> Fitted:
    """Fit one recipe in a process of its own, and measure it on the images that the recipe holds out."""
    recipe = RECIPES[protocol](store.samples, request.epochs, request.batch_size)
    out.mkdir(parents=True)
    logger.info(
        "%s: %d training rows, %d for validation, %d for test; %d epochs, batches of %d",
        *(protocol, len(recipe.train), len(recipe.validation), len(recipe.test)),
        *(recipe.epochs, recipe.batch_size),
    )
    job = FitJob(request.model, store.shards, store.labels, recipe, request.seed, out, export)
    with artifacts.progress(f"fit-{protocol}-progress", f"fit {protocol}", recipe.epochs, "epochs") as bar:

        def on_epoch(epoch: int, values: dict[str, float]) -> None:
            shown = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
            logger.info("%s: epoch %d of %d: %s", protocol, epoch, recipe.epochs, shown)
            bar.advance(1)

        result = run_in_process(fit, job, on_epoch)
    metrics = measure(store.labels[recipe.test], result.probabilities)
    return Fitted(TITLES[protocol], recipe, result, metrics, protocols.leakage(store.samples, recipe))


@stage("finish the bundle", tags=("train",))
def finish_bundle(store: PixelStore, fitted: Fitted, seed: int, bundle: Path) -> Finished:
    """Add to the network how unlike its training images an image is, its int8 form, and what is usual."""
    recipe = fitted.recipe
    width, height = (store.by_position(name) for name in ("width", "height"))
    job = FinishJob(store.shards, store.labels, width, height, store.lesions(), recipe, seed, bundle)
    finished = run_in_process(finish, job, _nothing)
    int8 = finished.precisions["int8"]
    if int8.file is None:
        logger.warning("no int8 network: %s", int8.failure)
    else:
        logger.log(
            logging.INFO if int8.allowed else logging.WARNING,
            "int8 %s score: %s; %.1f %% of the images in the same class",
            *("may" if int8.allowed else "may not", explain(int8), 100 * (int8.agreement or 0)),
        )
    if not finished.held_out:
        logger.warning(
            "the fit has seen the images that nights will be compared with: there are too few others"
        )
    return finished


def _nothing() -> None:
    """No messages are expected."""


@stage("draw the figures", tags=("train",))
def draw_figures(store: PixelStore, fitted: Fitted, folder: Path) -> None:
    """The figures of one fit: loss, accuracy, confusion matrix, fraction misclassified."""
    from skinml.report.figures import training_figures

    labels = store.labels[fitted.recipe.test]
    try:
        training_figures(folder, fitted.title, fitted.result.history, labels, fitted.result.probabilities)
    except Exception:  # hours of fitting are not thrown away for a picture
        logger.exception("the version will lack figures: drawing %s failed", folder.name)


@stage("register the model", tags=("storage",))
def register_model(
    workspace: str,
    bundle: Path,
    request: TrainRequest,
    preprocessing: Preprocessing,
    dataset: dict[str, Any],
    fitted: Fitted,
    honest: Fitted | None,
    finished: Finished,
    run: Run,
) -> Manifest:
    """Make the bundle an immutable version, and champion where there is none yet."""
    measured = {"protocol": request.protocol, **fitted.measurements(), "precisions": finished.to_json()}
    if honest is not None:
        measured["honest"] = honest.measurements()
    (bundle / "metrics.json").write_text(json.dumps(measured, indent=2, allow_nan=False), encoding="utf-8")
    fields = {
        "name": request.model,
        "version": registry.new_version(),
        "run_id": run.run_id,
        "protocol": request.protocol,
        "preprocessing": preprocessing.to_json(),
        "dataset": dataset,
        "parameters": {
            "epochs": fitted.recipe.epochs,
            "batch_size": fitted.recipe.batch_size,
            "seed": request.seed,
            "trainable_parameters": fitted.result.parameters,
        },
        "libraries": {**library_versions(), **fitted.result.libraries},
        "onnx_parity": fitted.result.parity,
        "precisions": finished.precisions,
    }
    manifest = registry.register(workspace, bundle, fields)
    first = registry.crown_first(workspace, manifest)
    logger.info("registered %s %s%s", manifest.name, manifest.version, ", the champion" if first else "")
    return manifest


@stage("show the result")
def show_trained(workspace: str, manifest: Manifest, fitted: Fitted, honest: Fitted | None) -> None:
    """Metrics and links in the Prefect UI: the protocol's own figure, and the honest one where they differ."""
    rows = [_headline(one) for one in (fitted, honest) if one is not None]
    artifacts.show_table("train-metrics", "How well the model does on its test images.", rows)
    networks = [
        {"network": name, **network.model_dump(exclude_none=True)}
        for name, network in manifest.precisions.items()
    ]
    artifacts.show_table("train-precisions", "The model's network in each precision.", networks)
    folder = model_url(workspace, manifest.name, manifest.version)
    links = {file: f"{folder}/{file}" for file in manifest.files if file.endswith((".png", ".json"))}
    artifacts.show_links("train-links", f"Model {manifest.name} {manifest.version}", links)


def _headline(fitted: Fitted) -> dict[str, Any]:
    """One row for people, with how much of the test set the model had seen."""
    return {
        "measured": fitted.title,
        **{metric: fitted.metrics[metric] for metric in HEADLINE},
        "test images": fitted.metrics["images"],
        "of them trained on too": f"{fitted.leakage['image']:.0%}",
        "of a lesion trained on": f"{fitted.leakage['lesion']:.0%}",
    }
