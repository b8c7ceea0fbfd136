"""The replay flow: score quarantined images again, for example after a permission was fixed."""

from __future__ import annotations

from typing import Any

from flows.flow import flow
from flows.naming import asked, dated
from skinml.errors import Reason
from skinml.records.quarantine import by_reason
from skinml.records.runs import begin
from skinml.requests.scoring import QuarantineRequest
from skinml.scoring.totals import add_up
from tasks import quarantine as stages
from tasks import scores, show
from tasks.cluster import check_cluster
from tasks.ending import ends_as
from tasks.model import choose_model
from tasks.runs import begin_run, recorded
from tasks.states import of_replay
from tasks.workspace import check_tables, find_workspace, open_workspace


def _run_name() -> str:
    return dated("replay", *([str(asked("reason"))] if asked("reason") else []))


@flow(name="replay", flow_run_name=_run_name, validate_parameters=False)
@ends_as(of_replay)
def replay(workspace: str, request: QuarantineRequest) -> dict[str, Any]:
    """Score again what could not be used, with one model version; publish what can be now, exactly once.

    With the champion, images that an earlier champion has scored are skipped, as in a night.

    What cannot be used for the same reason as before gets no second row; what is gone, or other bytes by now,
    is counted. What `prepare` could not use is for `prepare` to try again.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: which images of the quarantine, and the model version.
    """
    run = begin("replay", request.model_dump(mode="json"))
    with recorded(workspace, run) as record:
        workspace = open_workspace(find_workspace(workspace))
        model = choose_model(workspace, request.model, request.precision)
        if request.run is not None:
            stages.check_run(workspace, request.run)
        check_tables(workspace)
        images = stages.choose_images(workspace, request)
        readable = images.loc[images["reason"] != Reason.READ_ERROR.value, "uri"]  # a folder, a link to nothing
        check_cluster(workspace, request, record, images=readable.head(1).to_list())
        record.model_version = model.version

        begin_run(record, workspace)
        replayable, new = stages.find_replayable(workspace, images, model, request, record.scratch)
        shards = scores.refuse(workspace, new, run)
        shards += scores.score_images(workspace, new, model, request, run)
        totals = add_up(shards)
        tried = stages.leave_known_failures(workspace, shards, images, replayable)
        record.counts = tried.counts
        published = scores.commit_scores(
            workspace, tried.shards, tried.totals, tried.counts, new, model, None, run
        )
        record.counts = published.counts

    result = {
        "run_id": run.run_id,
        "rows": by_reason(images),
        "listed": record.counts.listed,
        "skipped": record.counts.skipped,
        "replayed": replayable.pending.images,
        "scored": record.counts.done,
        "resumed": totals.resumed,
        "still_quarantined": tried.failed_again + record.counts.quarantined,
        "quarantined": record.counts.quarantined,
        "gone": replayable.gone,
        "replaced": replayable.replaced,
        "left_to_prepare": replayable.of_prepare,
        "reasons": dict(totals.reasons),
        "malignant": show.count_malignant(workspace, run, record.counts.done),
        "seconds": record.row["seconds"],
        "images_per_second": record.row["images_per_second"],
        "table_version": published.version,
        "model_version": model.version,
        "scored_by_earlier_champions": replayable.pending.by_others,
    }
    show.show_replayed(workspace, images, result)
    return result
