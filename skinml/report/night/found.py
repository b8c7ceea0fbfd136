"""Read what a page of a night says besides its scores: model, quarantine, outcomes, new lesions."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import BufferReader, Table

from skinml import tables
from skinml.errors import Reason, SkinmlError
from skinml.labels import encode
from skinml.layout import report_url
from skinml.models import registry
from skinml.models.bundle import METRICS, PREDICTIONS, REFERENCE
from skinml.models.manifest import Manifest
from skinml.models.measured import parse_measured
from skinml.models.precisions import Precision
from skinml.monitoring.estimated_performance import FEWEST_IMAGES, Calibration, calibrate
from skinml.monitoring.reference import Usual, parse_reference
from skinml.records.labelled import count_new_lesions
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.storage.objects import read_bytes

logger = logging.getLogger("skinml.report")

EXAMPLES = 5
"""Quarantined images that are named for each reason."""

LARGEST_JSON = 16 * 2**20

ADVICE: dict[str, str] = {
    Reason.EMPTY: "Copy the file again from where it came from.",
    Reason.TRUNCATED: "The transfer stopped early. Copy the file again.",
    Reason.NOT_AN_IMAGE: "Something else has this name, often an error page. Export the image again.",
    Reason.UNSUPPORTED_FORMAT: "Save the image as JPEG, PNG, WebP, TIFF or BMP.",
    Reason.TOO_LARGE: "Save the image smaller: fewer than 64 megapixels and 64 MiB.",
    Reason.DECODE_ERROR: "The file is damaged. Copy or export it again.",
    Reason.READ_ERROR: "Storage did not give the file. The next night tries again. Check the rights.",
    Reason.NO_METADATA: "Add a row for this image to the metadata, and run skinml prepare again.",
    Reason.DUPLICATE_ID: "Two different images have one name. Rename one of them.",
}
"""What to do about an image in the quarantine, by reason."""


@dataclass(frozen=True, eq=False)
class Model:
    """What is known of the model version that scored a night.

    Attributes:
        manifest: None if the version cannot be read any more.
        usual: the drift reference in the night's precision; None if there is none.
        measured: `metrics.json`; {} if it cannot be read.
        calibration: of its probabilities on held-out images; None if too few of them are known.
    """

    manifest: Manifest | None = None
    usual: Usual | None = None
    measured: Mapping[str, Any] | None = None
    calibration: Calibration | None = None


def read_model(workspace: str, version: str | None, precision: Precision) -> Model:
    """Read a model version; what cannot be read is left out, because a page without it is better than none.

    Args:
        workspace: normalised URL.
        version: the model version; None if the run has none.
        precision: in which the night was scored.
    """
    try:
        manifest = registry.find(workspace, str(version))
    except SkinmlError as error:
        logger.warning("the page says nothing about the model: %s", error)
        return Model()

    def part(file: str) -> bytes | None:
        if file not in manifest.files:
            return None
        try:
            return registry.read_verified(workspace, manifest, file)
        except SkinmlError as error:
            logger.warning("the page lacks what %s would tell: %s", file, error)
            return None

    usual = None
    if (data := part(REFERENCE)) is not None:
        try:
            usual = parse_reference(data, manifest.version).precisions.get(precision)
        except SkinmlError as error:
            logger.warning("the page lacks the drift reference: %s", error)
    measured = None if (data := part(METRICS)) is None else _measured(data)
    predictions = part(PREDICTIONS)
    return Model(manifest, usual, measured, None if predictions is None else calibration_of(predictions))


def _measured(data: bytes) -> Mapping[str, Any] | None:
    try:
        return parse_measured(data)
    except ValueError as error:
        logger.warning("the page lacks the model's figures: %s", error)
        return None


def calibration_of(predictions: bytes) -> Calibration | None:
    """Fit the calibration on a bundle's predictions of images that the fit has not seen; None if they are few.

    Args:
        predictions: `predictions.parquet`.
    """
    columns = ["dx", "lesion_trained_on", *PROBABILITY_COLUMNS]
    rows = pq.read_table(BufferReader(predictions), columns=columns)
    rows = rows.filter(pc.invert(pc.fill_null(rows["lesion_trained_on"], True)))
    if len(rows) < FEWEST_IMAGES:
        return None
    probabilities = np.stack([rows[name].to_numpy() for name in PROBABILITY_COLUMNS], axis=1)
    return calibrate(probabilities, encode(rows["dx"].to_pylist()))


def quarantined_by_reason(workspace: str, run_id: str) -> list[dict[str, Any]]:
    """The images that a run has put into the quarantine, by reason, the most frequent first.

    Returns:
        For each reason: reason, images, advice, and examples (uri and detail).
    """
    where = pc.equal(pc.field("run_id"), run_id)
    found: dict[str, list[dict[str, Any]]] = {}
    counts: dict[str, int] = {}
    for piece in tables.scan(workspace, "quarantine", ["uri", "reason", "detail"], where=where):
        for row in piece.to_pylist():
            counts[row["reason"]] = counts.get(row["reason"], 0) + 1
            examples = found.setdefault(row["reason"], [])
            if len(examples) < EXAMPLES:
                examples.append(row)
    return [
        {
            "reason": reason,
            "images": counts[reason],
            "advice": ADVICE.get(reason, "See docs/tables.md."),
            "examples": found[reason],
        }
        for reason in sorted(counts, key=lambda reason: (-counts[reason], reason))
    ]


def realised_by_month(workspace: str, runs: Table) -> tuple[str, list[dict[str, Any]]] | None:
    """What past scores were worth, by the newest `evaluate --outcomes`: its run_id and its months.

    Args:
        workspace: normalised URL.
        runs: the table `runs`.

    Returns:
        None if nobody has compared scores with diagnoses yet, or the result cannot be read any more.
    """
    chosen = runs.filter(pc.and_(pc.equal(runs["flow"], "evaluate"), pc.equal(runs["status"], "completed")))
    for row in chosen.sort_by([("started_at", "descending")]).to_pylist():
        if not _asks_for_outcomes(row["parameters"]):
            continue
        try:
            told = json.loads(read_bytes(report_url(workspace, row["run_id"], "metrics.json"), LARGEST_JSON))
            months = [{**month, "intervals": month.get("intervals") or {}} for month in told["months"]]
        except (SkinmlError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("the outcomes of run %s cannot be read: %s", row["run_id"], error)
            return None
        return row["run_id"], months
    return None


def _asks_for_outcomes(parameters: str | None) -> bool:
    try:
        return bool(json.loads(parameters or "{}").get("outcomes"))
    except (ValueError, AttributeError):
        return False


def until_retraining(workspace: str, needed: int) -> str | None:
    """How many labelled lesions have come, in words; None if that cannot be counted."""
    try:
        return count_new_lesions(workspace).in_words(needed)
    except SkinmlError as error:
        logger.warning("new lesions were not counted: %s", error)
        return None
