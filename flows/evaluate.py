"""The evaluate flow: measure a model on labelled images that it has never seen, or past scores by diagnoses."""

from __future__ import annotations

from typing import Any

from flows.flow import flow
from flows.naming import asked, dated
from skinml.layout import report_url
from skinml.records.runs import begin
from skinml.requests.evaluation import EvaluateRequest
from skinml.training.installed import check_can_judge
from tasks import evaluation, outcomes, show
from tasks.cluster import check_cluster
from tasks.dataset import read_metadata
from tasks.ending import ends_as
from tasks.listing import list_archives
from tasks.model import choose_model
from tasks.runs import begin_run, recorded
from tasks.states import of_evaluation
from tasks.workspace import check_tables, find_workspace, open_workspace

SHOWN = (
    *("model_name", "model_version", "precision", "images", "lesions", "metrics", "intervals"),
    *("absent_classes", "left_out", "samples_version", "notes"),
)
"""What of `metrics.json` the result repeats. Subgroups, agreement and more are in the file alone."""


def _run_name() -> str:
    return dated("evaluate", "outcomes" if asked("outcomes") else str(asked("model") or "champion"))


@flow(name="evaluate", flow_run_name=_run_name, validate_parameters=False)
@ends_as(of_evaluation)
def evaluate(workspace: str, request: EvaluateRequest) -> dict[str, Any]:
    """Predict labelled images on Dask workers, leave out what the model knows, measure, and report.

    All images are read before anything is written: whether a set is one of training images shows only then.
    So a refused evaluation has written nothing. Each evaluation is whole; no earlier one is continued.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: the model version, the images and their labels; or `outcomes`.
    """
    check_can_judge("evaluate")
    return _outcomes(workspace, request) if request.outcomes else _labelled_set(workspace, request)


def _labelled_set(workspace: str, request: EvaluateRequest) -> dict[str, Any]:
    run = begin("evaluate", request.model_dump(mode="json"))
    with recorded(workspace, run) as record:
        workspace = open_workspace(workspace)
        model = choose_model(workspace, request.model or "champion", request.precision)
        metadata = read_metadata(request.metadata, request.map, request.drop, lesions_needed=False)
        listing = list_archives(workspace, request.images)
        check_tables(workspace)
        known = evaluation.read_known(workspace, model)
        plan = evaluation.plan_labelled(listing, metadata, known, model)
        check_cluster(workspace, request, record, listing.archives)
        record.model_version = model.version
        read = evaluation.predict_images(plan, model, listing, request)
        chosen = evaluation.leave_out(plan, read, known, model, ", ".join(request.images))

        begin_run(record, workspace)
        record.counts = chosen.counts
        evaluation.check_unusable(workspace, plan, chosen, request.max_quarantined, run)
        predictions, found = evaluation.measure_predictions(workspace, chosen, model, known, request)
        digest = evaluation.write_report(workspace, predictions, found, chosen, listing, run)
        row = evaluation.commit_evaluation(workspace, predictions, digest, found, chosen, listing, run)

    result = {
        "run_id": run.run_id,
        **{name: found[name] for name in SHOWN},
        "set_key": row.set_key,
        "listed": record.counts.listed,
        "skipped": record.counts.skipped,
        "quarantined": record.counts.quarantined,
        "seconds": record.row["seconds"],
        "report": report_url(workspace, run.run_id, ""),
    }
    show.show_evaluated(workspace, result)
    return result


def _outcomes(workspace: str, request: EvaluateRequest) -> dict[str, Any]:
    """Judge past scores by the diagnoses that have arrived since."""
    run = begin("evaluate", request.model_dump(mode="json"))
    with recorded(workspace, run) as record:
        workspace = open_workspace(find_workspace(workspace))
        outcomes.check_scores(workspace)
        diagnoses = outcomes.read_diagnoses(workspace, request)
        check_tables(workspace)
        joined = outcomes.join_outcomes(workspace, diagnoses, request)

        begin_run(record, workspace)
        record.counts = joined.counts
        found = outcomes.measure_outcomes(joined, request)
        record.model_version = found["model_version"]
        outcomes.write_outcomes(workspace, joined, found, run)

    result = {
        "run_id": run.run_id,
        **found,
        "listed": record.counts.listed,
        "skipped": record.counts.skipped,
        "seconds": record.row["seconds"],
        "report": report_url(workspace, run.run_id, ""),
    }
    show.show_evaluated(workspace, result)
    return result
