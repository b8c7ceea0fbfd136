"""Stages of `evaluate --outcomes`: read diagnoses, join them to past scores, measure, report."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from skinml import tables
from skinml.dataset.metadata import read_metadata
from skinml.errors import RequestError
from skinml.evaluation.judgement import refuse_contradictions
from skinml.external_validation.findings import as_json, as_pictures
from skinml.external_validation.outcomes import (
    DIAGNOSED,
    NO_SCORE,
    SCORED,
    Outcomes,
    by_month,
    choose_outcomes,
    judge_outcomes,
    match_scores,
    outcomes_table,
)
from skinml.external_validation.seen import known_images
from skinml.layout import report_url
from skinml.models import registry
from skinml.records.history import check_scored
from skinml.records.runs import Counts, Run
from skinml.requests.evaluation import EvaluateRequest
from skinml.storage.objects import write_bytes
from skinml.storage.parquet import as_parquet
from tasks.stage import stage

logger = logging.getLogger("skinml.outcomes")

NAMED = 3
"""How many examples the log names; all are in the run's unused.csv."""

BIAS = (
    "Only scored images that later got a diagnosis are counted. They are no random sample: what looked"
    " suspicious to the model or to a doctor was examined more often (verification bias). So the sensitivity"
    " on all scored images is probably lower, and the specificity higher."
)


@stage("check the scores")
def check_scores(workspace: str) -> None:
    """Refuse a workspace in which nothing was scored."""
    check_scored(workspace)


@stage("read the diagnoses")
def read_diagnoses(workspace: str, request: EvaluateRequest) -> pd.DataFrame:
    """Read diagnoses from the tables in the request, or from `samples`; columns DIAGNOSED."""
    if not request.metadata:
        rows: pd.DataFrame = tables.read(workspace, "samples", DIAGNOSED).to_pandas()
        if rows.empty:
            raise RequestError(
                f"--outcomes: {workspace} has no samples with diagnoses; give a table of them with --metadata"
            )
        return rows.drop_duplicates("image_id", keep="last", ignore_index=True)
    found = read_metadata(request.metadata, request.map, request.drop, lesions_needed=False)
    for note in found.notes:
        logger.info("%s", note)
    if found.conflicting:
        names = ", ".join(found.conflicting[:NAMED])
        logger.warning(
            "%d image_ids have different rows in the metadata and are not used (%s)",
            len(found.conflicting),
            names,
        )
    if found.group != "patient_id":
        refuse_contradictions(found.rows)
    return found.rows.assign(sha256=None)[DIAGNOSED].reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class Joined:
    """Diagnoses joined to scores.

    Attributes:
        outcomes: the scores with the diagnosis that came later.
        months: the result of `by_month`.
        counts: of the diagnoses: done if a score is judged by it.
    """

    outcomes: Outcomes
    months: list[dict[str, Any]]
    counts: Counts


@stage("join the diagnoses to the scores")
def join_outcomes(workspace: str, diagnoses: pd.DataFrame, request: EvaluateRequest) -> Joined:
    """Find the scores of the diagnosed images. Refuse diagnoses of which none can be used."""
    version = None if request.model is None else registry.find(workspace, request.model).version
    where = None if version is None else pc.field("model_version") == version
    matched = match_scores(tables.scan(workspace, "scores", SCORED, where=where), diagnoses)
    scores = sum(matched.scored.values())
    of_version = "" if version is None else f" of model {version}"
    source = ", ".join(request.metadata) or f"{workspace}/samples"
    if not scores:
        raise RequestError(f"--outcomes: {workspace} has no scores{of_version} yet; run skinml score first")
    if matched.rows.empty:
        example = diagnoses["image_id"].iloc[0] if len(diagnoses) else "none"
        raise RequestError(
            f"--outcomes: none of the {len(diagnoses)} diagnoses of {source} is of one of the {scores} scored "
            f"images{of_version} (image_id such as {example}); give the diagnoses of these images"
        )
    versions = matched.rows["model_version"].unique()
    outcomes = choose_outcomes(matched, diagnoses, {one: _known(workspace, one) for one in versions})
    if outcomes.rows.empty:
        reasons = ", ".join(f"{count} {why}" for why, count in outcomes.unused["why"].value_counts().items())
        raise RequestError(f"--outcomes: no diagnosis of {source} can be used: {reasons}")
    used = outcomes.rows["diagnosis"].nunique()
    counts = Counts(len(diagnoses), len(diagnoses) - used, used, 0)
    for why, group in outcomes.unused.groupby("why", sort=False):
        names = ", ".join(group["image_id"].head(NAMED)) + (", …" if len(group) > NAMED else "")
        level = logging.INFO if why == NO_SCORE else logging.WARNING
        logger.log(level, "%d x %s (%s); unused.csv lists them all", len(group), why, names)
    return Joined(outcomes, by_month(outcomes, matched.scored), counts)


def _known(workspace: str, version: str) -> pd.DataFrame | None:
    """Return what a model version knows; None if it is not in the registry."""
    try:
        known = known_images(workspace, registry.find(workspace, version))
    except RequestError as error:
        logger.warning("%s", error)
        return None
    if known.version is None:
        logger.warning("%s has no samples of model %s: what it was trained on is not known", workspace, version)
    return known.rows


@stage("measure the outcomes")
def measure_outcomes(joined: Joined, request: EvaluateRequest) -> dict[str, Any]:
    """Measure the first score of each diagnosed image, and each month and version."""
    rows = joined.outcomes.rows
    first = rows.sort_values("scored_at", kind="stable").drop_duplicates("diagnosis")
    metrics, intervals = judge_outcomes(first)
    versions = rows["model_version"].astype("str").unique()
    scored = sum(month["scored"] for month in joined.months)
    share = len(rows) / scored
    note = BIAS if share < 1 else "All scored images have a diagnosis."
    logger.log(logging.WARNING if share < 1 else logging.INFO, "%.1f %% diagnosed: %s", 100 * share, note)
    return {
        "model_version": str(versions[0]) if len(versions) == 1 else None,
        "images": len(first),
        "metrics": metrics,
        "intervals": intervals,
        "months": joined.months,
        "scored": scored,
        "diagnosed_share": share,
        "unused": {str(why): int(count) for why, count in joined.outcomes.unused["why"].value_counts().items()},
        "diagnoses_from": list(request.metadata) or ["samples"],
        "note": note,
    }


@stage("write the report")
def write_outcomes(workspace: str, joined: Joined, found: Mapping[str, Any], run: Run) -> None:
    """Write the outcomes, the figures of each month, what could not be used, and a picture."""
    months = pd.DataFrame(joined.months)
    ends = pd.json_normalize([month["intervals"] for month in joined.months])
    for name in ends:
        pairs = [pair if isinstance(pair, list) else (None, None) for pair in ends[name]]
        months[[f"{name}_low", f"{name}_high"]] = pairs

    def draw() -> Any:
        from skinml.report.outcome_figure import draw_outcomes

        share = f"{found['images']:,} of {found['scored']:,} scored images"
        title = f"{share} have a diagnosis, and are no random sample"
        return draw_outcomes(title, joined.months)

    files = {
        "outcomes.parquet": as_parquet(outcomes_table(joined.outcomes)),
        "months.csv": months.drop(columns="intervals").to_csv(index=False).encode(),
        "unused.csv": joined.outcomes.unused.to_csv(index=False).encode(),
        "metrics.json": as_json(found),
        **as_pictures({"outcomes": draw}),
    }
    for name, content in files.items():
        write_bytes(report_url(workspace, run.run_id, name), content)
