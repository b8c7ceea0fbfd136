"""The score flow: everything new in an archive, scored once by one model version, into tables."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.naming import asked, short
from skinml.config import ScoreRequest
from skinml.runs import begin
from tasks import score as stages
from tasks.archive import list_archives, open_workspace
from tasks.runs import recorded


def _run_name() -> str:
    return f"score {short(asked('archive'))} with {asked('model') or 'champion'}"


@flow(name="score", flow_run_name=_run_name, validate_parameters=True)
def score(workspace: str, request: ScoreRequest) -> dict[str, Any]:
    """List an archive, score on Dask workers what this model has not scored yet, publish scores and quarantine.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: the archive and the model version.
    """
    run = begin("score", request.model_dump(mode="json"))
    workspace = open_workspace(workspace)
    model = stages.choose_model(workspace, request.model)
    listing = list_archives((request.archive,))

    with recorded(workspace, run) as record:
        record.model_version = model.version
        pending = stages.find_new(workspace, listing, model)
        shards = stages.score_images(workspace, pending, model, request, run)
        record.counts = stages.count(pending, shards)
        table_version = stages.commit_scores(workspace, shards, record.counts, run)

    result = {
        "run_id": run.run_id,
        "listed": record.counts.listed,
        "skipped": record.counts.skipped,
        "scored": record.counts.done,
        "quarantined": record.counts.quarantined,
        "seconds": record.row["seconds"],
        "images_per_second": record.row["images_per_second"],
        "table_version": table_version,
        "model_version": model.version,
        "ignored": listing.ignored,
        "reasons": stages.count_reasons(shards),
    }
    stages.show_scored(workspace, result)
    return result
