"""Stages that turn a fitted network into a registered version: int8, drift reference, figures, manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from skinml.dataset.pixelstore import PixelStore
from skinml.images.preprocessing import Preprocessing
from skinml.models import registry
from skinml.models.bundle import HEAD, KERAS, NETWORKS, Fit, Made, build_bundle, read_made, write_card
from skinml.models.calibrated import say_calibration, say_operating
from skinml.models.manifest import Manifest
from skinml.models.precisions import explain
from skinml.models.zoo import architecture
from skinml.records.runs import Run, library_versions
from skinml.requests.training import TrainRequest
from skinml.training.dispatch import read_probabilities, run_job
from skinml.training.jobs import FinishJob, finish_job
from skinml.training.misses import find_misses
from skinml.training.results import PROBABILITIES, TRAINING_FEATURES, VALIDATION, Finished
from skinml.training.start import to_json
from skinml.training.training_features import training_features
from tasks.fit import Fitted, Unjudged, Workplace, chosen_recipe, judge_fit
from tasks.stage import stage

logger = logging.getLogger("skinml.bundle")


@stage("finish the bundle")
def finish_bundle(
    store: PixelStore, fit: Unjudged, request: TrainRequest, place: Workplace
) -> tuple[Fitted, Finished]:
    """Add outlier score, int8, views, calibration and drift reference to a fitted network, and measure that."""
    if request.views > 1:
        logger.info(
            "scoring an image takes the network %d times as long: it averages as many views", request.views
        )
    job = _finish_job(fit, request)
    finished = run_job(job, place.scratch)
    test, validation = read_probabilities(job.results, finished.files)
    fitted = judge_fit(
        store, replace(fit, result=replace(fit.result, probabilities=test, validation=validation)), request.seed
    )
    for name, network in finished.precisions.items():
        if network.calibration is not None and network.operating_point is not None:
            logger.info("%s: %s", name, say_calibration(network.calibration))
            logger.info("%s: %s", name, say_operating(network.operating_point))
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
        logger.warning("the drift reference includes training images, because too few images were held out")
    return fitted, finished


def _finish_job(fit: Unjudged, request: TrainRequest) -> FinishJob:
    """Return the job that finishes a fit: the same dataset and positions, and its network."""
    return finish_job(
        fit.job,
        fit.result.files[NETWORKS["fp32"]].sha256,
        request.views,
        request.calibration,
        request.operating_sensitivity,
    )


@stage("build the bundle")
def build(
    folder: Path,
    store: PixelStore,
    request: TrainRequest,
    fitted: Fitted,
    honest: Fitted | None,
    finished: Finished,
) -> None:
    """Put the bundle together in a folder: networks, reference, metrics, figures."""
    kept = {name: file for name, file in fitted.result.files.items() if name in (KERAS, HEAD)}
    files = {name: file for name, file in finished.files.items() if name not in (PROBABILITIES, VALIDATION)}
    of_training, place = files.pop(TRAINING_FEATURES, None), _finish_job(fitted, request).results
    made = (Made(fitted.job.results, kept), Made(place, files))
    features = None
    if of_training is not None:
        features = training_features(store, read_made(f"{place}/{TRAINING_FEATURES}", of_training))
    refitted = None if honest is None else _fit(store, honest)
    measured = finished.measurements()
    build_bundle(folder, request.protocol, made, _fit(store, fitted), refitted, measured, features)


def _fit(store: PixelStore, fitted: Fitted) -> Fit:
    result = fitted.result
    return Fit(
        title=fitted.title,
        labels=store.labels[fitted.recipe.test],
        probabilities=result.probabilities,
        predictions=fitted.predictions,
        misses=find_misses(store, fitted.recipe.test, result.probabilities),
        judged=fitted.judged,
        leakage=fitted.leakage,
        history=result.history,
        best_epoch=result.best_epoch,
        seconds=result.seconds,
    )


def _distilled(request: TrainRequest) -> dict[str, float]:
    """What the manifest records of how teachers counted; nothing without teachers."""
    names = ("distill_weight", "distill_temperature") if request.teachers else ()
    return {name: getattr(request, name) for name in names}


@stage("register the model")
def register_model(
    workspace: str,
    bundle: Path,
    request: TrainRequest,
    preprocessing: Preprocessing,
    dataset: dict[str, Any],
    fitted: Fitted,
    finished: Finished,
    run: Run,
    teachers: list[dict[str, Any]],
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Manifest:
    """Register the bundle as an immutable version. `more` are further fields of its manifest."""
    fields = {
        **more,
        "name": architecture(request.model).name,
        "version": registry.new_version(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_id": run.run_id,
        "protocol": request.protocol,
        "preprocessing": preprocessing.to_json(),
        "dataset": dataset,
        "parameters": {
            "epochs": fitted.recipe.epochs,
            "batch_size": fitted.recipe.batch_size,
            "seed": request.seed,
            "recipe": chosen_recipe(request).name if request.protocol == "grouped" else "thesis",
            "settings": fitted.recipe.settings.to_json(),
            "stopped": fitted.result.stopped,
            "views": request.views,
            "teachers": teachers,
            "calibration": request.calibration,
            "operating_sensitivity": request.operating_sensitivity,
            **_distilled(request),
            "weights": request.weights or ("none" if fitted.job.start.kind == "random" else "imagenet"),
            "trainable_parameters": fitted.result.parameters,
        },
        "views": request.views,
        "teachers": teachers,
        "libraries": {**library_versions(), **fitted.result.libraries},
        "onnx_parity": fitted.result.parity,
        "precisions": finished.precisions,
        "architecture": {**architecture(request.model).to_json(), "weights": to_json(fitted.job.start)},
    }
    write_card(bundle, fields)
    manifest = registry.register(workspace, bundle, fields)
    logger.info("registered %s %s", manifest.name, manifest.version)
    return manifest
