"""Stages that make a fitted network a registered version: int8, drift reference, figures, manifest."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from skinml.dataset.pixelstore import PixelStore
from skinml.images.preprocessing import Preprocessing
from skinml.models import registry
from skinml.models.manifest import Manifest
from skinml.models.precisions import explain
from skinml.records.runs import Run, library_versions
from skinml.requests.training import TrainRequest
from skinml.training.finish import Finished, FinishJob, finish
from skinml.training.process import run_in_process
from tasks.fit import Fitted
from tasks.stage import stage

logger = logging.getLogger("skinml.bundle")


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
