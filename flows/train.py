"""The train flow: samples to a registered model version, measured on images that were held out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect import flow

from flows.naming import asked
from skinml.config import TrainRequest
from skinml.images.preprocessing import Preprocessing
from skinml.models.zoo import architecture
from skinml.runs import begin
from skinml.training.protocols import leakage
from tasks import train as stages
from tasks.archive import open_workspace
from tasks.prepare import write_shards
from tasks.runs import recorded

HEADLINE = ("accuracy", "balanced_accuracy", "macro_auc", "melanoma_sensitivity")


def _run_name() -> str:
    return f"train {asked('model') or 'thesis-cnn'}, {asked('protocol') or 'grouped'} protocol"


@flow(name="train", flow_run_name=_run_name, validate_parameters=True)
def train(workspace: str, request: TrainRequest) -> dict[str, Any]:
    """Fit a model on what was prepared, measure it on held-out images, register it as an immutable version.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: protocol, architecture, epochs, batch size, seed.
    """
    run = begin("train", request.model_dump(mode="json"))
    workspace = open_workspace(workspace)
    pixels = Preprocessing(
        architecture(request.model).size, "exact" if request.protocol == "thesis" else "fast"
    )
    samples = stages.read_samples(workspace)
    stages.check_protocol(samples, request)

    with recorded(workspace, run) as record, TemporaryDirectory(prefix="skinml-train-") as scratch:
        bundle, copies, honest_out = (Path(scratch, name) for name in ("bundle", "copies", "honest"))
        for folder in (bundle, copies, honest_out):
            folder.mkdir()
        missing = stages.find_missing(workspace, samples, pixels)
        shards = write_shards(
            workspace, missing.work, pixels, missing.stored_as, missing.dataset_key, request, run
        )
        stages.commit_pixels(workspace, missing, shards, run)
        store = stages.open_pixels(workspace, samples, missing, copies)

        fitted = stages.fit_model(store, request.protocol, request, bundle, export=True)
        stages.draw_figures(store, fitted, f"{request.model}, {request.protocol} protocol", bundle / "figures")
        measured: dict[str, Any] = {
            "protocol": request.protocol,
            "metrics": fitted.metrics,
            "leakage": leakage(store.samples, fitted.recipe),
            "history": fitted.result.history,
            "best_epoch": fitted.result.best_epoch,
            "fit_seconds": fitted.result.seconds,
        }
        if request.protocol == "thesis":
            # The thesis draws before it splits, so its figure is beside one that its own recipe gets when
            # whole lesions are held out: same network, epochs, batch size and number of training images.
            honest = stages.fit_model(store, "honest", request, honest_out, export=False)
            stages.draw_figures(
                store, honest, f"{request.model}, thesis recipe on held-out lesions", bundle / "figures/honest"
            )
            measured["honest"] = honest.metrics
            measured["honest_history"] = honest.result.history

        dataset = {"key": missing.dataset_key, "version": samples.version, "samples": len(store.samples)}
        manifest = stages.register_model(workspace, bundle, request, pixels, dataset, measured, fitted, run)
        record.model_version = manifest.version

    rows = [
        {"measured on": name, **{metric: values[metric] for metric in HEADLINE}}
        for name, values in ((request.protocol, fitted.metrics), ("honest", measured.get("honest")))
        if values
    ]
    stages.show_trained(workspace, manifest, rows)
    result = {
        "run_id": run.run_id,
        "model_name": manifest.name,
        "model_version": manifest.version,
        "protocol": request.protocol,
        "metrics": fitted.metrics,
        "leakage": measured["leakage"],
        "seconds": record.row["seconds"],
        "dataset_version": samples.version,
        "onnx_parity": fitted.result.parity,
    }
    return {**result, "honest": measured["honest"]} if "honest" in measured else result
