"""The train flow: samples to a registered model version, measured on images that were held out."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.naming import asked
from skinml.config import TrainRequest
from skinml.images.preprocessing import preprocessing_for
from skinml.models.zoo import DEFAULT, architecture
from skinml.runs import begin
from skinml.training.installed import check_installed
from tasks import train as stages
from tasks.archive import open_workspace
from tasks.cluster import check_cluster
from tasks.prepare import write_shards
from tasks.runs import begin_run, recorded


def _run_name() -> str:
    return f"train {asked('model') or DEFAULT}, {asked('protocol') or 'grouped'} protocol"


@flow(name="train", flow_run_name=_run_name, validate_parameters=True)
def train(workspace: str, request: TrainRequest) -> dict[str, Any]:
    """Fit a model on what was prepared, measure it on held-out images, register it as an immutable version.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: protocol, architecture, epochs, batch size, seed.
    """
    check_installed()
    run = begin("train", request.model_dump(mode="json"))
    pixels = preprocessing_for(
        architecture(request.model).size, "exact" if request.protocol == "thesis" else "fast"
    )
    with recorded(workspace, run) as record:
        workspace = open_workspace(workspace)
        samples = stages.read_samples(workspace)
        stages.check_protocol(samples, request)
        missing = stages.find_missing(workspace, samples, pixels)
        check_cluster(workspace, request, images=missing.work["uri"].head(1).to_list())

        begin_run(record, workspace)
        bundle, copies = record.scratch / "bundle", record.scratch / "copies"
        shards, _ = write_shards(
            workspace, missing.work, pixels, missing.stored_as, missing.dataset_key, request, run
        )
        stages.commit_pixels(workspace, missing, shards, run)
        store = stages.open_pixels(workspace, samples, missing, copies)

        fitted = stages.fit_model(store, request.protocol, request, bundle, export=True)
        finished = stages.finish_bundle(store, fitted, request.seed, bundle)
        stages.draw_figures(store, fitted, bundle / "figures")
        honest = None
        if request.protocol == "thesis":
            # The thesis draws before it splits. Beside its figure stands the one that its own recipe gets when
            # whole lesions are held out: same network, epochs, batch size and number of training images.
            honest = stages.fit_model(store, "honest", request, record.scratch / "honest", export=False)
            stages.draw_figures(store, honest, bundle / "figures" / "honest")

        dataset = {"key": missing.dataset_key, "version": samples.version, "samples": len(store.samples)}
        manifest = stages.register_model(
            workspace, bundle, request, pixels, dataset, fitted, honest, finished, run
        )
        record.model_version = manifest.version

    stages.show_trained(workspace, manifest, fitted, honest)
    result = {
        "run_id": run.run_id,
        "model_name": manifest.name,
        "model_version": manifest.version,
        "protocol": request.protocol,
        "metrics": fitted.metrics,
        "leakage": fitted.leakage,
        "decoded": len(missing.work),
        "seconds": record.row["seconds"],
        "dataset_version": samples.version,
        "onnx_parity": fitted.result.parity,
        "precisions": finished.to_json(),
    }
    return result if honest is None else {**result, "honest": honest.metrics}
