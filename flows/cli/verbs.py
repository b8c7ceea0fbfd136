"""The table of verbs: the request of each, the function that it runs, and the keys that it prints.

A new verb is a request (`skinml/requests/`), a function that takes it, and a row here. Command line, `--help`,
README, settings and deployments are made from the rows or tested against them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flows.cli.verb import Verb, imported
from skinml.errors import RequestError, SkinmlError
from skinml.requests.base import Request
from skinml.requests.dataset import PrepareRequest
from skinml.requests.evaluation import EvaluateRequest
from skinml.requests.explanation import ExplainRequest
from skinml.requests.fetching import FetchRequest
from skinml.requests.lab import DemoRequest, DrillRequest, SynthRequest
from skinml.requests.labels import MislabelledRequest
from skinml.requests.models import ModelsRequest
from skinml.requests.operations import DoctorRequest, StatusRequest
from skinml.requests.reporting import ReportRequest
from skinml.requests.retraining import RetrainRequest
from skinml.requests.samples import ExploreRequest, OrganizeRequest
from skinml.requests.scoring import QuarantineRequest, ScoreRequest
from skinml.requests.search import SearchRequest
from skinml.requests.shell import CompletionRequest
from skinml.requests.tables import CompactRequest, ExportRequest
from skinml.requests.training import TrainRequest
from skinml.requests.up import UpRequest

__all__ = ["REQUESTS", "VERBS", "Verb", "call", "find", "imported"]  # two of them of flows/cli/verb.py

VERBS = (
    Verb(
        "synth",
        SynthRequest,
        "flows.synth:synth",
        prints=("images", "corrupt"),
        needs_workspace=False,
        as_flow=False,
    ),
    Verb(
        "fetch",
        FetchRequest,
        "flows.fetch:fetch",
        prints=("images", "fetched", "there_already", "bytes", "licence", "files"),
        needs_workspace=False,
        check="flows.checks:fetch",
        as_flow=False,
    ),
    Verb(
        "prepare",
        PrepareRequest,
        "flows.prepare:prepare",
        prints=(
            *("run_id", "listed", "skipped", "prepared", "quarantined"),
            *("seconds", "images_per_second", "dataset_version"),
        ),
        check="flows.checks:prepare",
    ),
    Verb(
        "explore",
        ExploreRequest,
        "flows.explore:explore",
        prints=("files", "images", "lesions", "dataset_version"),
        check="flows.checks:explore",
        as_flow=False,
    ),
    Verb(
        "organize",
        OrganizeRequest,
        "flows.organize:organize",
        prints=("files", "listed", "linked", "copied", "there_already", "missing", "left_out"),
        check="flows.checks:organize",
        as_flow=False,
    ),
    Verb(
        "train",
        TrainRequest,
        "flows.train:train",
        prints=("run_id", "model_name", "model_version", "protocol", "metrics"),
        check="flows.checks:train",
    ),
    Verb(
        "retrain",
        RetrainRequest,
        "flows.retrain:retrain",
        prints=("decision", "champion", "challenger", "reason", "criteria", "run_id", "new", "needed"),
        check="flows.checks:retrain",
    ),
    Verb(
        "search",
        SearchRequest,
        "flows.search:search",
        prints=("trials", "best", "run_id", "done", "failed", "model_version", "metrics", "files"),
        check="flows.checks:search",
    ),
    Verb(
        "mislabelled",
        MislabelledRequest,
        "flows.mislabelled:mislabelled",
        prints=("run_id", "images", "lesions", "issues", "rows", "files"),
        check="flows.checks:mislabelled",
    ),
    Verb(
        "evaluate",
        EvaluateRequest,
        "flows.evaluate:evaluate",
        prints=("model_version", "images", "metrics", "intervals"),
        check="flows.checks:evaluate",
    ),
    Verb(
        "score",
        ScoreRequest,
        "flows.score:score",
        prints=(
            *("run_id", "listed", "skipped", "scored", "quarantined"),
            *("seconds", "images_per_second", "table_version"),
        ),
        check="flows.checks:score",
    ),
    Verb(
        "quarantine",
        QuarantineRequest,
        "flows.quarantine:list_quarantine",
        prints=("rows", "images"),
        action="list",
        as_flow=False,
    ),
    Verb(
        "quarantine",
        QuarantineRequest,
        "flows.replay:replay",
        prints=(
            *("rows", "run_id", "listed", "skipped", "replayed", "scored", "still_quarantined", "quarantined"),
            *("seconds", "images_per_second", "table_version"),
        ),
        action="replay",
        check="flows.checks:replay",
    ),
    *(
        Verb(
            "models",
            ModelsRequest,
            f"flows.models:{function}",
            prints=prints,
            action=action,
            as_flow=False,
            went_well=lambda result: not result.get("problems"),
        )
        for action, function, prints in (
            ("list", "list_models", ("models",)),
            ("show", "show", ("models",)),
            ("compare", "compare", ("models",)),
            ("promote", "promote", ("models",)),
            ("rollback", "roll_back", ("models",)),
            ("history", "history", ("promotions",)),
            ("verify", "verify", ("models", "problems")),
        )
    ),
    Verb(
        "export",
        ExportRequest,
        "flows.export:export",
        prints=("run_id", "rows", "file"),
        check="flows.checks:export",
    ),
    Verb(
        "report",
        ReportRequest,
        "flows.report:report",
        check="flows.checks:report",
        prints=("files", "seconds"),
        as_flow=False,
    ),
    Verb(
        "status",
        StatusRequest,
        "flows.status:status",
        prints=("healthy", "last_completed", "problems"),
        as_flow=False,
        went_well=lambda result: result["healthy"] and not result.get("not_told"),
    ),
    Verb(
        "doctor",
        DoctorRequest,
        "deployments.doctor.verb:doctor",
        prints=("checks", "ok", "warning", "failed"),
        workspace_optional=True,
        as_flow=False,
        went_well=lambda result: not result["failed"],
    ),
    Verb(
        "explain",
        ExplainRequest,
        "flows.explain:explain",
        prints=("files", "image_id", "run_id", "model_version", "dx", "bytes", "nearest", "others", "notes"),
        as_flow=False,
    ),
    Verb(
        "compact",
        CompactRequest,
        "flows.compact:compact",
        prints=("tables", "dry_run", "run_id"),
        check="flows.checks:compact",
    ),
    Verb(
        "up",
        UpRequest,
        "deployments.up.run:up",
        prints=("already_running", "pid", "url", "ui_url"),
        check="flows.checks:up",
        as_flow=False,
    ),
    Verb(
        "demo",
        DemoRequest,
        "flows.demo:demo",
        prints=("prepared", "model_version", "balanced_accuracy", "scored", "quarantined", "scored_again"),
        needs_workspace=False,
        as_flow=False,
    ),
    Verb(
        "drill",
        DrillRequest,
        "flows.drill:drill",
        prints=("kills", "problems", "seconds"),
        as_flow=False,
        went_well=lambda result: not result["problems"],
    ),
    Verb(
        "completion",
        CompletionRequest,
        "flows.cli.completion:completion",
        prints=("shell", "script"),
        needs_workspace=False,
        as_flow=False,
    ),
)
"""Every verb, in the order of `--help` and README. A verb with actions has a row for each."""

REQUESTS: Mapping[str, type[Request]] = {verb.name: verb.request for verb in VERBS}
"""What can be asked, by verb."""


def find(name: str, request: Request) -> Verb:
    """The row of a verb, and of the action that the request asks for."""
    action = getattr(request, "action", None)
    return next(verb for verb in VERBS if verb.name == name and verb.action in (None, action))


def call(verb: Verb, workspace: str, request: Request) -> dict[str, Any]:
    """Check the request, then run the verb's function: as a Prefect flow, or plainly.

    Args:
        verb: the row.
        workspace: folder or s3://bucket/prefix; not read if the verb needs none.
        request: an instance of the row's request.

    Raises:
        SkinmlError: the request was wrong, or the run failed.
    """
    parameters = {"workspace": workspace, "request": request} if verb.needs_workspace else {"request": request}
    if verb.check is not None:
        with _only_refusing():
            imported(verb.check)(**parameters)
    entry = imported(verb.entry)
    if not verb.as_flow:
        result: dict[str, Any] = entry(**parameters)
        return result

    from flows.engine import run

    return run(entry, **parameters)


@contextmanager
def _only_refusing() -> Iterator[None]:
    """Let a check refuse a request and do nothing else: what it says in the log the flow will say.

    Storage that fails and a broken table are left to the flow too. It tries again, and records how it ended.
    """
    logger = logging.getLogger("skinml")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    except RequestError:
        raise
    except SkinmlError as error:
        logger.debug("left to the flow: %s", error)
    finally:
        logger.setLevel(level)
