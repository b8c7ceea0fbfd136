"""Stages that fit a recipe: check the protocol, fit in a process of its own, measure."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skinml.dataset.pixelstore import PixelStore
from skinml.evaluation.metrics import measure
from skinml.requests.training import TrainRequest
from skinml.training import protocols
from skinml.training.fit import FitJob, FitResult, fit
from skinml.training.process import run_in_process
from skinml.training.protocols import Recipe
from tasks import artifacts
from tasks.pixels import Samples
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


@stage("check the protocol", "check the {request.protocol} protocol")
def check_protocol(samples: Samples, request: TrainRequest) -> None:
    """Refuse what cannot be trained on, such as a class without a lesion, before anything is written."""
    numbered = samples.rows.assign(position=np.arange(len(samples.rows)))
    needed = ("thesis", "honest") if request.protocol == "thesis" else (request.protocol,)
    for name in needed:
        RECIPES[name](numbered, request.epochs, request.batch_size)


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
