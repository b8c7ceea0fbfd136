"""The retrain flow: train a challenger if enough labelled lesions have come, and decide if it is better."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from flows.flow import flow
from flows.handover import check_handover, train_challenger
from flows.naming import asked, dated
from flows.prepare import prepare
from skinml.dataset.samples import samples_version
from skinml.errors import OverlapError
from skinml.layout import report_url
from skinml.models import registry
from skinml.models.floors import floors_of
from skinml.models.zoo import pixels_for
from skinml.process.crash_points import crash_point
from skinml.records.runs import begin
from skinml.requests.dataset import PrepareRequest
from skinml.requests.retraining import RetrainRequest
from skinml.requests.training import TrainRequest
from skinml.retraining.recipe import training_of
from skinml.training.installed import check_installed
from skinml.training.start import check_start, choose_start
from tasks import retrain as stages
from tasks.ending import ends_as
from tasks.gate_page import write_page
from tasks.labelled import count_new
from tasks.retrain import Present
from tasks.runs import RunRecord, begin_run, recorded
from tasks.show import show_retrained
from tasks.states import of_retraining
from tasks.workspace import check_tables, open_workspace

logger = logging.getLogger("skinml.retrain")

PREPARE_ATTEMPTS = 3
"""The first may meet another preparation in its shards, the second in its commit; then all is prepared."""


def _run_name() -> str:
    return dated("retrain", str(asked("approve") or "human"))


@dataclass
class Outcome:
    """What a retraining came to; the flow fills it in.

    Attributes:
        decision: promoted, kept, proposed or skipped.
        reason: in one line.
        challenger: the version that was trained, if one was.
        criteria: what the gate found.
        more: further keys of the result.
    """

    decision: str
    reason: str
    challenger: str | None = None
    criteria: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


@flow(name="retrain", flow_run_name=_run_name, validate_parameters=False)
@ends_as(of_retraining)
def retrain(workspace: str, request: RetrainRequest) -> dict[str, Any]:
    """Prepare what is new; if enough labelled lesions have come, train a challenger and let the gate decide.

    Called twice for the same lesions, it trains once: the second call says `skipped`.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: how many lesions are enough, who approves, and how to prepare and train.
    """
    check_installed()
    run = begin("retrain", request.model_dump(mode="json"))
    with recorded(workspace, run) as record:
        workspace = open_workspace(workspace)
        check_tables(workspace)
        check_handover(request)
        champion = stages.read_champion(workspace)
        training = training_of(request, champion.manifest if champion else None, run.run_id)
        check_start(training.model, *choose_start(training.model, training.weights))
        if not request.images:
            samples_version(workspace)

        begin_run(record, workspace)
        outcome = _retrain(workspace, request, training, champion, record)
        record.model_version = outcome.challenger
        record.more = {"new_lesions": outcome.more.get("new")}

    now = stages.read_champion_version(workspace)
    result = {
        "run_id": run.run_id,
        "decision": outcome.decision,
        "champion": now,
        "challenger": outcome.challenger,
        "reason": outcome.reason,
        "criteria": outcome.criteria,
        "new": None,
        "needed": request.min_new,
        "approve": request.approve,
        "seconds": record.row["seconds"],
        **outcome.more,
    }
    show_retrained(workspace, result)
    return result


def _retrain(
    workspace: str, request: RetrainRequest, training: TrainRequest, champion: Present | None, record: RunRecord
) -> Outcome:
    claim = stages.claim(workspace, record.run)
    if isinstance(claim, str):
        return _skipped(f"run {claim} is retraining already")
    if request.images:
        _prepare(workspace, _preparation(workspace, request, training))
        crash_point(32)
    lesions = count_new(workspace, request.min_new)
    counted = {"new": lesions.new}
    if lesions.new < request.min_new:
        return _skipped(lesions.in_words(request.min_new), **counted)
    if champion is None:
        return _train_first(workspace, request, training, counted)
    gain = stages.look_ahead(workspace, champion)
    challenger = stages.find_trained(workspace, claim, training)
    if challenger is None:
        challenger = registry.find(workspace, train_challenger(workspace, training, request))
    crash_point(33)

    samples, unseen = stages.find_unseen(workspace, champion, challenger)
    first, second = (
        stages.measure_model(workspace, one, samples, unseen, request, record)
        for one in (champion.manifest, challenger)
    )
    found = stages.judge(workspace, first, second, unseen, challenger, floors_of(request))
    due = lesions.in_words(request.min_new)
    write_page(
        workspace, found.verdict, champion.manifest, challenger, unseen, request.approve, record.run, due
    )
    decision = stages.decide(workspace, challenger, champion, found, request.approve, record.run)
    verdict = found.verdict
    return Outcome(
        decision.decision,
        decision.reason,
        challenger.version,
        decision.evidence,
        {
            **counted,
            "compared_with": champion.version,
            "sentences": list(verdict.sentences),
            "look": verdict.look,
            "looks_allowed": verdict.looks_allowed,
            "smallest_gain": gain,
            "images": verdict.images,
            "lesions": verdict.lesions,
            "report": report_url(workspace, record.run.run_id),
        },
    )


def _skipped(reason: str, **more: Any) -> Outcome:
    logger.info("skipped: %s", reason)
    return Outcome("skipped", reason, more=more)


def _prepare(workspace: str, wanted: PrepareRequest) -> None:
    """Prepare what is new; again if the nightly preparation, which has another worker, was first."""
    for attempt in range(1, PREPARE_ATTEMPTS + 1):
        try:
            prepare.fn(workspace, wanted)
            return
        except OverlapError as error:
            if attempt == PREPARE_ATTEMPTS:
                raise
            logger.warning("%s; preparing again, attempt %d of %d", error, attempt + 1, PREPARE_ATTEMPTS)


def _preparation(workspace: str, request: RetrainRequest, training: TrainRequest) -> PrepareRequest:
    """The request to prepare what is new, as the challenger needs it, in the format that is there already."""
    shared = {name: value for name, value in request if name in PrepareRequest.model_fields}
    stored_as = stages.stored_as(workspace, pixels_for(training.model, None, "fast"))
    return PrepareRequest(**{**shared, "for_model": training.model, "format": stored_as})


def _train_first(
    workspace: str, request: RetrainRequest, training: TrainRequest, counted: dict[str, Any]
) -> Outcome:
    """Train in a workspace without a champion: `train` decides by its usual rule."""
    version = train_challenger(workspace, training, request)
    row = stages.read_first(workspace, version)
    if row is None:
        return Outcome("kept", "another version has become champion in the meantime", version, more=counted)
    decision = "promoted" if row["decision"] == "first" else "kept"
    return Outcome(decision, row["reason"], version, stages.evidence_of(row), counted)
