"""The train flow: fit a model on the samples, measure it on held-out images, register it as a version."""

from __future__ import annotations

from typing import Any

from flows.flow import flow
from flows.naming import asked, dated
from skinml.dataset.description import describe
from skinml.models.floors import floors_of
from skinml.models.precisions import as_tables
from skinml.models.zoo import DEFAULT, pixels_for
from skinml.records.data_sources import cited_sources
from skinml.records.runs import begin
from skinml.requests.training import TrainRequest
from skinml.training.installed import check_installed
from skinml.training.start import check_start, choose_start, placed
from skinml.training.teachers import to_json
from tasks.bundle import build, finish_bundle, register_model
from tasks.champion import decide_first
from tasks.cluster import check_cluster, release_cluster
from tasks.ending import ends_as
from tasks.fit import check_protocol, fit_model, forget_checkpoints, refit_honestly, workplace
from tasks.pixels import find_missing, make_pixels, read_samples
from tasks.runs import begin_run, recorded
from tasks.show import show_trained
from tasks.states import of_training
from tasks.teach import ask_teachers, check_teachers, pixels_of_teachers
from tasks.workspace import open_workspace


def _run_name() -> str:
    return dated("train", str(asked("model") or DEFAULT), str(asked("protocol") or "grouped"))


@flow(name="train", flow_run_name=_run_name, validate_parameters=False)
@ends_as(of_training)
def train(workspace: str, request: TrainRequest) -> dict[str, Any]:
    """Fit a model on what was prepared, measure it on held-out images, register it as an immutable version.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: protocol, architecture, epochs, batch size, seed.
    """
    check_installed()
    start, file = choose_start(request.model, request.weights, request.weights_sha256)
    check_start(request.model, start, file)
    run = begin("train", request.model_dump(mode="json"))
    pixels = pixels_for(request.model, None, "exact" if request.protocol == "thesis" else "fast")
    with recorded(workspace, run) as record:
        workspace = open_workspace(workspace)
        samples = read_samples(workspace)
        check_protocol(samples, request)
        teachers = check_teachers(workspace, samples, request) if request.teachers else []
        missing = find_missing(workspace, samples, pixels)
        check_cluster(workspace, request, record, images=missing.work["uri"].head(1).to_list())

        begin_run(record, workspace)
        store = make_pixels(workspace, samples, missing, pixels, request, run)
        stores = pixels_of_teachers(workspace, samples, teachers, request, run)
        release_cluster(record)

        with workplace(workspace, record) as place:
            start = placed(start, file, f"{place.url}/weights")
            soft_labels = None
            if teachers:
                soft_labels = ask_teachers(workspace, teachers, stores, store, request, place)
            fit = fit_model(store, request.protocol, request, place, start, soft_labels)
            fitted, finished = finish_bundle(store, fit, request, place)
            honest = None
            if request.protocol == "thesis":
                # The thesis draws before it splits. Beside its figure stands the one that its own recipe
                # gets when whole lesions are held out: same network, epochs, batch size and number of
                # training images.
                honest = refit_honestly(store, request, place, start)
            bundle = record.scratch / "bundle"
            build(bundle, store, request, fitted, honest, finished)

        dataset = {
            "key": missing.dataset_key,
            "version": samples.version,
            "samples": len(store.samples),
            "description": describe(store.samples),
            "told": cited_sources(workspace) | request.told(),
        }
        manifest = register_model(
            workspace, bundle, request, pixels, dataset, fitted, finished, run, to_json(teachers)
        )
        record.model_version = manifest.version
        forget_checkpoints(place)
        decision = decide_first(workspace, manifest, floors_of(request), run)

    show_trained(workspace, manifest, fitted, honest)
    result = {
        "run_id": run.run_id,
        "model_name": manifest.name,
        "model_version": manifest.version,
        "protocol": request.protocol,
        "metrics": fitted.metrics,
        "intervals": fitted.judged["intervals"],
        "leakage": fitted.leakage,
        "decoded": len(missing.work),
        "seconds": record.row["seconds"],
        "dataset_version": samples.version,
        "onnx_parity": fitted.result.parity,
        "views": request.views,
        "teachers": [one.version for one in teachers],
        **as_tables(finished.precisions),
        "decision": None if decision is None else decision.decision,
        "criteria": [] if decision is None else decision.evidence,
    }
    return (
        result
        if honest is None
        else {
            **result,
            "honest": honest.metrics,
            "honest_intervals": honest.judged["intervals"],
        }
    )
