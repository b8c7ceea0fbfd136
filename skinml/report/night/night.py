"""Gather everything that the page of a night says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.errors import RequestError
from skinml.monitoring.estimated_performance import Estimate, estimate
from skinml.monitoring.health import DRIFTED
from skinml.monitoring.most_drifted import Furthest, most_drifted
from skinml.records.export import FLOWS
from skinml.records.history import find_run
from skinml.report.night.found import (
    Model,
    quarantined_by_reason,
    read_model,
    realised_by_month,
    until_retraining,
)
from skinml.report.night.scored import MOST_ROWS, Scored, measures_of, read_scored

RUN_COLUMNS = [
    *("run_id", "flow", "status", "started_at", "finished_at", "listed", "skipped", "done", "quarantined"),
    *("seconds", "images_per_second", "model_version", "parameters", "health", "health_detail"),
]


@dataclass(frozen=True, eq=False)
class Night:
    """Everything that a page says of one run.

    Attributes:
        run: its row in `runs`, RUN_COLUMNS; health_detail is parsed.
        scored: its scores.
        model: the version that scored it.
        quarantine: `found.quarantined_by_reason`.
        estimate: of its balanced accuracy; None if `why_no_estimate` says why.
        why_no_estimate: a sentence.
        furthest: the images that drifted most; rows of `scored.drifted`.
        outcomes: `found.realised_by_month`.
        until_retraining: in words.
    """

    run: dict[str, Any]
    scored: Scored
    model: Model
    quarantine: list[dict[str, Any]]
    estimate: Estimate | None
    why_no_estimate: str
    furthest: list[Furthest]
    outcomes: tuple[str, list[dict[str, Any]]] | None
    until_retraining: str | None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_drifted(self) -> bool:
        """Whether nobody should trust its scores. The images of a backfill are of many nights."""
        return self.run["health"] == DRIFTED and not self.parameters.get("backfill")


def find_night(workspace: str, run_id: str | None) -> dict[str, Any]:
    """The row of a completed scoring run in `runs`: the named one, or the newest of `score`.

    Raises:
        RequestError: there is none, or it has failed.
    """
    runs = tables.read(workspace, "runs", RUN_COLUMNS)
    if run_id is not None:
        find_run(workspace, run_id, FLOWS)
        found = runs.filter(pc.equal(runs["run_id"], run_id)).to_pylist()[-1]
        if found["status"] != "completed":
            raise RequestError(
                f"--run {run_id}: this run {found['status']}, so it has no page; name a completed run"
            )
        return dict(found)
    nights = runs.filter(pc.and_(pc.equal(runs["flow"], "score"), pc.equal(runs["status"], "completed")))
    if not len(nights):
        raise RequestError(f"report: {workspace} has no completed run of score yet; run skinml score first")
    return dict(nights.sort_by([("started_at", "descending")]).slice(0, 1).to_pylist()[0])


def read_night(
    workspace: str, run: Mapping[str, Any], runs: pa.Table, needed: int, most: int = MOST_ROWS
) -> Night:
    """Read everything about a run.

    Args:
        workspace: normalised URL.
        run: from `find_night`.
        runs: the table `runs`.
        needed: new lesions at which a retraining is due.
        most: rows in the worklist.
    """
    health = _as_object(run["health_detail"])
    parameters = _as_object(run["parameters"])
    precision = parameters.get("precision")
    model = read_model(workspace, run["model_version"], "int8" if precision == "int8" else "fp32")
    drifted = [one["measure"] for one in health.get("measures", []) if one.get("drifted")]
    scored = read_scored(workspace, run["run_id"], run["started_at"].date(), model.usual, drifted, most)
    furthest = []
    if model.usual is not None and len(scored.drifted):
        furthest = most_drifted(model.usual, measures_of(scored.drifted), drifted)
    found, why = _estimated(scored, model, run["health"] == DRIFTED)
    return Night(
        run={**run, "health_detail": health},
        scored=scored,
        model=model,
        quarantine=quarantined_by_reason(workspace, run["run_id"]) if run["quarantined"] else [],
        estimate=found,
        why_no_estimate=why,
        furthest=furthest,
        outcomes=realised_by_month(workspace, runs),
        until_retraining=until_retraining(workspace, needed),
        parameters=parameters,
    )


def _estimated(scored: Scored, model: Model, drifted: bool) -> tuple[Estimate | None, str]:
    if drifted:
        return None, (
            "No estimate: this night has drifted, so its probabilities may mean something else than on the"
            " images that the model was tested on."
        )
    if model.calibration is None:
        return (
            None,
            "No estimate: the model has too few held-out predictions.",
        )
    found = estimate(scored.probabilities, scored.predicted, model.calibration)
    if found is None:
        return None, f"No estimate: {scored.images:,} scored images are too few."
    return found, ""


def _as_object(text: str | None) -> dict[str, Any]:
    """JSON that another program may have written, as an object; {} if it is none."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def class_counts(scored: Scored) -> list[int]:
    """Images by predicted diagnosis."""
    return [int(count) for count in np.bincount(scored.predicted, minlength=scored.probabilities.shape[1])]
