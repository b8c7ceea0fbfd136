"""The prepare flow: turn labelled images and their metadata into shards of pixels and the samples table."""

from __future__ import annotations

from typing import Any

from flows.flow import flow
from flows.naming import asked, dated
from skinml.errors import SkinmlError
from skinml.models.zoo import input_size, pixels_for
from skinml.records.runs import begin
from skinml.requests.dataset import PrepareRequest
from tasks import dataset, show
from tasks.cluster import check_cluster
from tasks.ending import ends_as
from tasks.labelled import count_after_prepare
from tasks.listing import list_archives
from tasks.pixels import write_shards
from tasks.runs import begin_run, recorded
from tasks.states import of_prepare
from tasks.workspace import open_workspace


def _run_name() -> str:
    return dated("prepare", f"{_size_asked_for()} px")


def _size_asked_for() -> int | str:
    """For a name alone: the flow refuses what is wrong with it."""
    try:
        return input_size(asked("for") or asked("for_model"), asked("size"))
    except SkinmlError:
        return "?"


@flow(name="prepare", flow_run_name=_run_name, validate_parameters=False)
@ends_as(of_prepare)
def prepare(workspace: str, request: PrepareRequest) -> dict[str, Any]:
    """Join images with their metadata, decode what is new on Dask workers, publish samples and quarantine.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: image roots, metadata, and how pixels are made.
    """
    run = begin("prepare", request.model_dump(mode="json"))
    pixels = pixels_for(request.for_model, request.size, request.decode)
    dataset_key = pixels.dataset_key(request.format)
    with recorded(workspace, run) as record:
        workspace = open_workspace(workspace)
        metadata = dataset.read_metadata(request.metadata, request.map, request.drop)
        listing = list_archives(workspace, request.images)
        check_cluster(workspace, request, record, listing.archives)

        begin_run(record, workspace)
        plan = dataset.plan_dataset(workspace, listing, metadata, dataset_key)
        dataset.check_plan(workspace, plan, request.max_quarantined, run)
        passed_over, archives = listing.passed_over, listing.archives
        del listing, metadata  # a row for every image: the plan has what is still to be done
        shards, duplicates = write_shards(
            workspace, plan.work, pixels, request.format, dataset_key, request, run, plan.relabelled, archives
        )
        plan = plan.without_work()
        totals, record.counts = dataset.sum_up(plan, shards)
        dataset.check_outcome(workspace, plan, shards, totals, dataset_key, request.max_quarantined, run)
        pairs = dataset.report_duplicates(workspace, duplicates, run)
        dataset_version = dataset.commit_dataset(
            workspace, plan, shards, duplicates, record.counts, dataset_key, run
        )
        mismatches = dataset.name_unmatched(workspace, plan, run)
        lesions = count_after_prepare(workspace, plan.before, dataset_version, request.min_new)
        record.more = {"new_lesions": lesions.new if lesions else None}

    result = {
        "run_id": run.run_id,
        "listed": record.counts.listed,
        "skipped": record.counts.skipped,
        "prepared": record.counts.done,
        "quarantined": record.counts.quarantined,
        "seconds": record.row["seconds"],
        "images_per_second": record.row["images_per_second"],
        "dataset_version": dataset_version,
        "dataset_key": dataset_key,
        "ignored": passed_over.total(),
        "new_lesions": lesions.new if lesions else None,
        "needed": request.min_new,
        "until_retraining": lesions.in_words(request.min_new) if lesions else None,
        "dropped": plan.dropped,
        "respelled": dict(plan.respelled),
        "passed_over": dict(sorted(passed_over.items())),
        "resumed": totals.resumed,
        "relabelled": len(plan.relabelled),
        **pairs,
        "colour_profiles": totals.colour_profiles,
        "reasons": dict(totals.reasons),
        **mismatches,
    }
    show.show_prepared(workspace, dataset_key, result)
    return result
