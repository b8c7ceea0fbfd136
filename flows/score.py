"""The score flow: score the images of an archive that are new, or missing for the champion, once each."""

from __future__ import annotations

from typing import Any

from flows.flow import flow
from flows.naming import asked, dated
from skinml.records.runs import begin
from skinml.requests.scoring import ScoreRequest
from skinml.scoring.publish_scores import health_columns
from skinml.scoring.totals import add_up
from tasks import scores, show
from tasks.cluster import check_cluster
from tasks.ending import ends_as
from tasks.listing import check_archive
from tasks.model import choose_model
from tasks.report import page_of_tonight
from tasks.runs import begin_run, recorded
from tasks.shadow import choose_shadow, score_shadow
from tasks.states import of_night
from tasks.workspace import check_tables, open_workspace


def _run_name() -> str:
    return dated("backfill" if asked("backfill") else "recheck" if asked("recheck") else "score")


# No retries, whatever Prefect's settings say: the rows of a drifted night are committed.
@flow(name="score", flow_run_name=_run_name, validate_parameters=False, retries=0)
@ends_as(of_night)
def score(workspace: str, request: ScoreRequest) -> dict[str, Any]:
    """List an archive, score on Dask workers what is not scored yet, publish scores and quarantine.

    With the champion, what any champion has scored, present or past, is skipped. With `backfill`, everything
    that the champion itself has not scored is scored; with a named version, everything that it has not scored.

    With `recheck` the images that have been scored or quarantined are read, too. Those whose bytes have changed
    under an unchanged etag are scored; the others count as skipped.

    With `shadow`, that version scores what this run has scored into `shadow_scores`, in a second pass.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: the archive, the model version, which of the images.

    Returns:
        The counts of the command line's contract, and: `rechecked`, images with a row that were read again;
        `changed`, those of them that had other bytes; `remembered`, rows of `known_etags` (bytes that are known
        under another etag, or whose row is of a skinml that kept no hash); `scored_by_earlier_champions`,
        listed images that an earlier champion has scored and this one has not.
    """
    run = begin("score", request.model_dump(mode="json"))
    with recorded(workspace, run) as record:
        workspace = open_workspace(workspace)
        model = choose_model(workspace, request.model, request.precision)
        shadow = choose_shadow(workspace, request, model)
        archive = check_archive(workspace, request.archive)
        check_tables(workspace)
        check_cluster(workspace, request, record, [archive])
        record.model_version = model.version

        begin_run(record, workspace)
        new = scores.find_new(workspace, archive, model, request, record.scratch)
        shards = scores.refuse(workspace, new, run)
        shards += scores.score_images(workspace, new, model, request, run)
        totals = add_up(shards)
        record.counts = totals.counts(new.pending)
        health = scores.judge(model, shards, request.backfill)
        record.more = health_columns(health)
        published = scores.commit_scores(
            workspace, shards, totals, record.counts, new, model, health, run, request.max_quarantined
        )
        record.counts = published.counts
        shadowed = None
        if shadow is not None:
            shadowed = score_shadow(workspace, shadow, archive.url, record.counts.done, request, run)

    result = {
        "run_id": run.run_id,
        "listed": record.counts.listed,
        "skipped": record.counts.skipped,
        "scored": record.counts.done,
        "quarantined": record.counts.quarantined,
        "seconds": record.row["seconds"],
        "images_per_second": record.row["images_per_second"],
        "table_version": published.version,
        "model_version": model.version,
        "backfill": request.backfill,
        "scored_by_earlier_champions": new.pending.by_others,
        "resumed": totals.resumed,
        "ignored": new.pending.ignored,
        "passed_over": dict(sorted(new.pending.passed_over.items())),
        "rechecked": totals.rechecked,
        "changed": totals.changed,
        "remembered": totals.remembered,
        "outside_window": new.pending.outside_window,
        "beyond_limit": new.pending.beyond_limit,
        "reasons": dict(totals.reasons),
        "malignant": show.count_malignant(workspace, run, record.counts.done),
        "flags": health.flags if health else {},
        "shadow": shadowed,
        "health": health.verdict if health else None,
        "health_sentence": health.sentence if health else None,
        "report": None,
    }
    show.show_scored(workspace, result, health)
    show.show_suspicious(workspace, result, run, request.images_in_ui)
    if request.report:
        result["report"] = page_of_tonight(workspace, run.run_id, request)
    return result
