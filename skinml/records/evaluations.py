"""The table `evaluations`: write the row of an evaluation, find evaluations, and read their predictions."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skinml import tables
from skinml.errors import RunError
from skinml.layout import report_url
from skinml.models.judged import HEADLINE
from skinml.schemas import EVALUATED, EVALUATIONS
from skinml.storage.objects import read_bytes

PREDICTIONS = "predictions.parquet"
"""The file in an evaluation's report with a row per evaluated image, schema EVALUATED."""

_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a model version: a row of `evaluations`, with its JSON read.

    Attributes:
        evaluated_at: when, UTC.
        run_id: the run of `evaluate`.
        model_name, model_version: the model.
        set_key: evaluations of the same images have the same key, see `set_key`.
        images_url: where the images were; several places are separated by spaces.
        images: how many were evaluated.
        lesions: how many lesions they show.
        metrics, intervals: as in the run's `metrics.json`.
        predictions_sha256: of the file with the predictions.
    """

    evaluated_at: datetime
    run_id: str
    model_name: str
    model_version: str
    set_key: str
    images_url: str
    images: int
    lesions: int
    metrics: Mapping[str, Any]
    intervals: Mapping[str, Any]
    predictions_sha256: str


def set_key(hashes: Iterable[str]) -> str:
    """Return the key of a set of images: SHA-256 of their sorted SHA-256s, the first 32 hexadecimal digits.

    The same images give the same key in whatever order and place, so that two models that were evaluated on
    the same set are found. Copies of one file in a set count.

    Example:
        >>> set_key(["b" * 64, "a" * 64]) == set_key(["a" * 64, "b" * 64])
        True
    """
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()[:32]


def evaluation_row(evaluation: Evaluation) -> pa.Table:
    """Return the row of an evaluation, schema EVALUATIONS."""
    row = {
        **vars(evaluation),
        "metrics": json.dumps(evaluation.metrics, allow_nan=False),
        "intervals": json.dumps(evaluation.intervals, allow_nan=False),
        "predictions": f"reports/{evaluation.run_id}/{PREDICTIONS}",
    }
    return pa.Table.from_pylist([row], EVALUATIONS)


def find_evaluations(workspace: str, version: str | None = None) -> list[Evaluation]:
    """Return the evaluations of a model version, or of all, the newest first.

    Args:
        workspace: normalised URL.
        version: a model version; None for all.

    Raises:
        RunError: a row is damaged.
    """
    rows = tables.read(workspace, "evaluations")
    if version is not None:
        rows = rows.filter(pc.equal(rows["model_version"], version))
    return [_parsed(workspace, row) for row in rows.sort_by([("evaluated_at", "descending")]).to_pylist()]


def evaluations_of(workspace: str, name: str, version: str) -> list[dict[str, Any]]:
    """A row for people for each evaluation of a model version, the newest first, with its headline metrics."""
    return [
        {
            "evaluated_at": one.evaluated_at.isoformat(timespec="seconds"),
            "images_url": one.images_url,
            "images": one.images,
            "lesions": one.lesions,
            **{metric: one.metrics.get(metric) for metric in HEADLINE},
            "run_id": one.run_id,
        }
        for one in find_evaluations(workspace, version)
        if one.model_name == name
    ]


def _parsed(workspace: str, row: dict[str, Any]) -> Evaluation:
    del row["predictions"]  # it follows from the run_id
    try:
        return Evaluation(
            **{**row, "metrics": json.loads(row["metrics"]), "intervals": json.loads(row["intervals"])}
        )
    except (TypeError, ValueError) as error:
        raise RunError(
            f"{workspace}/evaluations: the row of {row['run_id']!r} is damaged: {error}; evaluate again"
        ) from error


def read_predictions(workspace: str, evaluation: Evaluation) -> pa.Table:
    """Return the predictions of an evaluation, one row per image, schema EVALUATED.

    Raises:
        RunError: the file is not the one that the evaluation wrote.
        StorageError: it is not there.
    """
    if not _RUN_ID.fullmatch(evaluation.run_id):  # a name of a folder, from a table that others can write to
        raise RunError(f"{workspace}/evaluations: {evaluation.run_id!r} is no run_id; evaluate again")
    url = report_url(workspace, evaluation.run_id, PREDICTIONS)
    data = read_bytes(url)
    found = hashlib.sha256(data).hexdigest()
    if found != evaluation.predictions_sha256:
        raise RunError(
            f"{url}: SHA-256 {found[:12]}… is not the {evaluation.predictions_sha256[:12]}… that was written; "
            "restore the file, or evaluate again"
        )
    return pq.read_table(io.BytesIO(data)).select(EVALUATED.names).cast(EVALUATED)
