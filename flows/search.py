"""The search flow: try networks of many structures on few images, and register the best one as a version."""

from __future__ import annotations

from typing import Any

from flows.flow import flow
from flows.naming import asked, dated
from skinml.dataset.description import describe
from skinml.models.judged import read_metrics
from skinml.models.zoo import DEFAULT, pixels_for
from skinml.records.data_sources import cited_sources
from skinml.records.runs import begin
from skinml.requests.search import SearchRequest
from skinml.search.refit import training_of
from skinml.training.installed import check_can_search, check_installed
from skinml.training.jobs import RANDOM
from tasks.bundle import build, finish_bundle, register_model
from tasks.cluster import check_cluster, release_cluster
from tasks.ending import ends_as
from tasks.fit import fit_model, forget_checkpoints, workplace
from tasks.pixels import find_missing, make_pixels, read_samples
from tasks.runs import begin_run, recorded
from tasks.search import (
    add_trials,
    check_draw,
    choose,
    draw,
    find_registered,
    remember,
    show_searched,
    try_networks,
)
from tasks.states import of_search
from tasks.workspace import open_workspace


def _run_name() -> str:
    return dated("search", f"{asked('trials') or 25} trials")


@flow(name="search", flow_run_name=_run_name, validate_parameters=False)
@ends_as(of_search)
def search(workspace: str, request: SearchRequest) -> dict[str, Any]:
    """Try networks on images of training lesions, compare them on other lesions, and register the best one.

    A search that was killed continues with the trials that are left. Test lesions are read once, at the end,
    for the best network. It is never promoted by itself, not even as the first champion.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: trials, epochs, images of each class, largest network, seed.
    """
    check_installed()
    check_can_search()
    run = begin("search", request.model_dump(mode="json"))
    pixels = pixels_for(DEFAULT, None, "fast")
    with recorded(workspace, run) as record:
        workspace = open_workspace(workspace)
        samples = read_samples(workspace)
        check_draw(samples, request)
        missing = find_missing(workspace, samples, pixels)
        check_cluster(workspace, request, record, images=missing.work["uri"].head(1).to_list())

        begin_run(record, workspace)
        store = make_pixels(workspace, samples, missing, pixels, request, run)
        drawn = draw(workspace, store, request, record.scratch / "copies")
        finished, taken_over = try_networks(workspace, drawn, request, run)
        release_cluster(record)
        searched = choose(workspace, finished, request, run)

        manifest = find_registered(workspace, drawn, searched.best)
        if manifest is None:
            training = training_of(request, searched.best)
            with workplace(workspace, record) as place:
                fit = fit_model(store, training.protocol, training, place, RANDOM)
                fitted, finishing = finish_bundle(store, fit, training, place)
                bundle = record.scratch / "bundle"
                build(bundle, store, training, fitted, None, finishing)
            add_trials(bundle, searched)
            dataset = {
                "key": missing.dataset_key,
                "version": samples.version,
                "samples": len(store.samples),
                "description": describe(store.samples),
                "told": cited_sources(workspace) | request.told(),
            }
            found = {"search": searched.summary(searched.best)}
            manifest = register_model(
                workspace, bundle, training, pixels, dataset, fitted, finishing, run, [], found
            )
            remember(drawn, searched.best, manifest)
            forget_checkpoints(place)
        record.model_version = manifest.version

    show_searched(searched)
    measured = read_metrics(workspace, manifest)
    return {
        "run_id": run.run_id,
        "trials": searched.rows(),
        "best": searched.summary(searched.best),
        "thesis": None if searched.reference is None else searched.summary(searched.reference),
        "done": len(searched.trials) - searched.failed,
        "failed": searched.failed,
        "taken_over": taken_over,
        "model_name": manifest.name,
        "model_version": manifest.version,
        "metrics": measured["metrics"],
        "intervals": measured["intervals"],
        "files": list(searched.files),
        "dataset_version": samples.version,
        "seconds": record.row["seconds"],
    }
