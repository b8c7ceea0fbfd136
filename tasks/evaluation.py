"""Stages of an evaluation: the model and what it knows, labels, prediction, what to leave out, the report."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from skinml import tables
from skinml.compute import connect, width
from skinml.dataset.metadata import Metadata
from skinml.dataset.plan import Plan, likeliest_reason
from skinml.errors import RequestError, RunError
from skinml.evaluation.judgement import judge
from skinml.external_validation.findings import (
    as_json,
    draw_figures,
    predictions_table,
    refuse_too_few_classes,
)
from skinml.external_validation.labelled_set import evaluate_jobs, evaluate_shard
from skinml.external_validation.plan_set import plan_images
from skinml.external_validation.seen import WHYS, KnownImages, known_images, left_out
from skinml.layout import report_url
from skinml.models import registry
from skinml.models.judged import has_predictions, read_own_predictions
from skinml.records.evaluations import PREDICTIONS, Evaluation, evaluation_row, set_key
from skinml.records.max_quarantined import COLUMNS, check_quarantined
from skinml.records.quarantine import quarantine_rows
from skinml.records.runs import Counts, Run
from skinml.requests.evaluation import EvaluateRequest
from skinml.scoring.predict import ScoringModel, images_per_shard
from skinml.storage.listed import in_words
from skinml.storage.objects import write_bytes
from skinml.storage.parquet import as_parquet
from skinml.words import several
from tasks.listing import Listing
from tasks.shards import run_shards
from tasks.stage import stage

logger = logging.getLogger("skinml.evaluate")


@stage("read what the model knows", "read what {model.version} knows")
def read_known(workspace: str, model: ScoringModel) -> KnownImages:
    """Read the samples that the model was made from."""
    known = known_images(workspace, registry.find(workspace, model.version))
    if known.version is None:
        logger.warning(
            "%s has no samples of model %s: images that it was trained on cannot be left out",
            *(workspace, model.version),
        )
    return known


@stage("plan", "plan what to evaluate")
def plan_labelled(listing: Listing, metadata: Metadata, known: KnownImages, model: ScoringModel) -> Plan:
    """Decide which images to read. Refuse contradictory labels, and a set of known lesions alone."""
    plan = plan_images(listing.images, metadata)
    places = ", ".join(archive.url for archive in listing.archives)
    logger.info(
        "%d images listed, passed over: %s; %d to evaluate, %d skipped, %d rejected by the plan",
        *(plan.listed, in_words(listing.passed_over), len(plan.work), plan.skipped, len(plan.rejected)),
    )
    if plan.respelled:
        ways = ", ".join(f"{way} {count}" for way, count in plan.respelled.items())
        logger.info("matched image_ids that the metadata spells differently from the files (%s)", ways)
    if not plan.listed:
        raise RequestError(f"--images {places}: holds no images; give a folder that holds some")
    if plan.work.empty and plan.rejected.empty:
        raise RequestError(
            f"--images {places}: --drop leaves out all {plan.skipped} images; drop fewer classes"
        )
    _refuse_if_all_known(
        left_out(plan.work.assign(sha256=None, phash=None), known), len(plan.work), places, model
    )
    return plan


def _refuse_if_all_known(left: pd.DataFrame, images: int, places: str, model: ScoringModel) -> None:
    if images and len(left) == images:
        raise RequestError(
            f"--images {places}: this is an evaluation on the training images: all {images} images are known"
            f" to model {model.version} ({_in_words(left)}); give labelled images that it has never seen"
        )


def _in_words(left: pd.DataFrame) -> str:
    words = {"identical": "identical", "near": "near-identical", "lesion": "of a lesion that it knows"}
    counts = Counter(left["why"])
    return ", ".join(f"{counts[why]} {words[why]}" for why in WHYS if counts[why])


# Not retried as a whole, because each shard is retried alone.
@stage("evaluate shards", "evaluate {model.version}", retried=False)
def predict_images(plan: Plan, model: ScoringModel, listing: Listing, request: EvaluateRequest) -> pd.DataFrame:
    """Read, decode and predict the images on Dask workers. Returns the plan's rows with those of READ."""
    images = len(plan.work)
    if not images:
        return plan.work.reindex(columns=[*plan.work, "sha256", "phash", "reason", "detail"])
    roots = tuple(archive.url for archive in listing.archives)
    with connect(request.cluster, request.workers, images // images_per_shard(images, 1) + 1) as client:
        each = images_per_shard(images, width(client, request.workers))
        jobs = evaluate_jobs(plan.work, each, model, roots)
        read = pa.concat_tables(
            run_shards(
                client,
                evaluate_shard,
                jobs,
                -(-images // each),
                "evaluate-progress",
                f"evaluate {several(images, 'image')}",
            )
        ).to_pandas()
    labels = plan.work.drop(columns=["etag", "size_bytes", "split", "in_samples", "split_group"])
    return labels.merge(read, on="uri", validate="one_to_one")


@dataclass(frozen=True, eq=False)
class Chosen:
    """The outcome of all listed images.

    Attributes:
        images: those to evaluate: labels and READ.
        left: those that the model knows (`external_validation.seen.LEFT_OUT`).
        rejected: those that cannot be used, columns of the quarantine.
        counts: of all listed images.
    """

    images: pd.DataFrame
    left: pd.DataFrame
    rejected: pd.DataFrame
    counts: Counts


@stage("leave out known images")
def leave_out(plan: Plan, read: pd.DataFrame, known: KnownImages, model: ScoringModel, places: str) -> Chosen:
    """Leave out what the model knows; refuse a set of which nothing, or only one diagnosis, is left."""
    unusable = read[read["reason"].notna()]
    usable = read[read["reason"].isna()]
    left = left_out(usable, known)
    _refuse_if_all_known(left, len(usable), places, model)
    images = usable[~usable["uri"].isin(left["uri"])]
    if len(images):
        refuse_too_few_classes(images)
    if len(left):
        logger.warning("%d images are left out, because the model knows them: %s", len(left), _in_words(left))
    columns = [*COLUMNS, "size_bytes", "sha256"]
    rejected = pd.concat([plan.rejected.assign(sha256=None)[columns], unusable.reindex(columns=columns)])
    counts = Counts(plan.listed, plan.skipped + len(left), len(images), len(rejected))
    counts.check()
    return Chosen(images, left, rejected, counts)


@stage("check what cannot be used")
def check_unusable(workspace: str, plan: Plan, chosen: Chosen, most_quarantined: float, run: Run) -> None:
    """Fail if too many images cannot be used, or all of them."""

    def rows() -> pa.Table:
        schema = pa.schema([(column, pa.string()) for column in COLUMNS])
        return pa.Table.from_pandas(chosen.rejected[list(COLUMNS)], schema, preserve_index=False)

    reasons = Counter(chosen.rejected["reason"])
    usable = len(chosen.images) + len(chosen.left)
    advice = likeliest_reason(plan) or "repair the images, or allow more"
    check_quarantined(workspace, run.run_id, reasons, usable, most_quarantined, rows, advice, "images")
    if not len(chosen.images):
        raise RunError(f"no image is left to evaluate: {len(chosen.rejected)} of {plan.listed} cannot be used")


@stage("measure", "measure {model.version}")
def measure_predictions(
    workspace: str, chosen: Chosen, model: ScoringModel, known: KnownImages, request: EvaluateRequest
) -> tuple[pa.Table, dict[str, Any]]:
    """Measure the predictions. Returns them as a table, and what `metrics.json` says.

    Conformal sets are calibrated on the validation images of the model's bundle.
    """
    predictions = predictions_table(chosen.images)
    judged = judge(predictions.to_pandas(), _validation(workspace, model), request.seed)
    absent = judged["metrics"]["absent"]
    if absent:
        logger.warning("no image of %s: every mean is over the other classes", ", ".join(absent))
    return predictions, {
        "model_name": model.name,
        "model_version": model.version,
        "precision": model.precision,
        "images": len(chosen.images),
        "lesions": int(chosen.images["lesion_id"].nunique()),
        "absent_classes": absent,
        "left_out": {why: int((chosen.left["why"] == why).sum()) for why in WHYS},
        "samples_version": known.version,
        **judged,
    }


def _validation(workspace: str, model: ScoringModel) -> pd.DataFrame:
    """Return the predictions of the model's validation images; none if its bundle is older than they are."""
    manifest = registry.find(workspace, model.version)
    if not has_predictions(manifest):
        return pd.DataFrame()
    rows = read_own_predictions(workspace, manifest)
    return rows[rows["split"] == "val"].reset_index(drop=True)


@stage("write the report")
def write_report(
    workspace: str,
    predictions: pa.Table,
    found: Mapping[str, Any],
    chosen: Chosen,
    listing: Listing,
    run: Run,
) -> str:
    """Write predictions, metrics, what was left out, and figures. Returns the SHA-256 of the predictions."""
    size = f"{several(found['images'], 'image')} of {several(found['lesions'], 'lesion')}"
    title = f"{found['model_name']} {found['model_version']} on {size}"
    data = as_parquet(predictions)
    files = {
        PREDICTIONS: data,
        "metrics.json": as_json(found),
        "left_out.csv": chosen.left.to_csv(index=False).encode(),
        **draw_figures(predictions, title, tuple(archive.url for archive in listing.archives), found),
    }
    for name, content in files.items():
        write_bytes(report_url(workspace, run.run_id, name), content)
    return hashlib.sha256(data).hexdigest()


@stage("commit the evaluation")
def commit_evaluation(
    workspace: str,
    predictions: pa.Table,
    predictions_sha256: str,
    found: Mapping[str, Any],
    chosen: Chosen,
    listing: Listing,
    run: Run,
) -> Evaluation:
    """Append the rows of `quarantine`, then the row of `evaluations`, each once for the run."""
    if len(chosen.rejected):
        tables.append(
            workspace, "quarantine", quarantine_rows(chosen.rejected, run.flow, run.run_id), run.run_id
        )
    evaluation = Evaluation(
        evaluated_at=datetime.now(UTC),
        run_id=run.run_id,
        model_name=found["model_name"],
        model_version=found["model_version"],
        set_key=set_key(predictions["sha256"].to_pylist()),
        images_url=" ".join(archive.url for archive in listing.archives),
        images=found["images"],
        lesions=found["lesions"],
        metrics=found["metrics"],
        intervals=found["intervals"],
        predictions_sha256=predictions_sha256,
    )
    tables.append(workspace, "evaluations", evaluation_row(evaluation), run.run_id)
    return evaluation
