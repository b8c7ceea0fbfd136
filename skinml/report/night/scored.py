"""Read the rows that a run has added to `scores`: the worklist, and figures of all of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from skinml import tables
from skinml.labels import DIAGNOSES
from skinml.monitoring.most_drifted import TOP, furthest
from skinml.monitoring.reference import Usual
from skinml.schemas import PROBABILITY_COLUMNS, SCORES

MOST_ROWS = 50_000
"""Rows on the page. A larger night shows its most suspicious ones; the table has all."""

NUMBERS = (
    *PROBABILITY_COLUMNS,
    *("p_malignant", "confidence", "width", "height", "sharpness", "brightness", "unlike_training"),
)
COLUMNS = ("image_id", "uri", "etag", "size_bytes", "sha256", "predicted_dx", "flags", *NUMBERS)

ORDER = [("p_malignant", "descending"), ("uri", "ascending"), ("etag", "ascending")]
"""Most suspicious first; the names make the order the same each time."""

DISTANCE = "distance"

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of a run.

    Attributes:
        worklist: the most suspicious rows, at most MOST_ROWS, most suspicious first; COLUMNS.
        images: number of all rows.
        probabilities: of all rows, float32 (n, 7).
        predicted: class numbers of all rows, int64 (n,).
        confidence: of all rows, float32 (n,).
        drifted: rows that are furthest from the drift reference, the furthest first; COLUMNS. Empty without
        one.
    """

    worklist: pa.Table
    images: int
    probabilities: Floats
    predicted: NDArray[np.int64]
    confidence: Floats
    drifted: pa.Table


def read_scored(
    workspace: str,
    run_id: str,
    run_date: date,
    usual: Usual | None = None,
    drifted: Collection[str] = (),
    most: int = MOST_ROWS,
) -> Scored:
    """Read the rows of a run piece by piece: of those that are not shown only numbers stay in memory.

    Args:
        workspace: normalised URL.
        run_id: the run.
        run_date: its date in UTC, the partition of its rows.
        usual: the drift reference of the model, if it has one.
        drifted: measures by which the run has drifted.
        most: rows in the worklist.
    """
    where = pc.equal(pc.field("run_date"), run_date) & pc.equal(pc.field("run_id"), run_id)
    nothing = pa.schema([SCORES.field(name) for name in COLUMNS]).empty_table()
    worklist, far = nothing, nothing.append_column(DISTANCE, pa.array([], pa.float64()))
    probabilities, predicted, confidence = [np.zeros((0, len(DIAGNOSES)), np.float32)], [], []
    for piece in tables.scan(workspace, "scores", COLUMNS, where=where):
        worklist = _first(pa.concat_tables([worklist, piece]), most, ORDER)
        if usual is not None:
            distance = furthest(usual, measures_of(piece), drifted)[0]
            measured = piece.append_column(DISTANCE, pa.array(distance))
            far = _first(pa.concat_tables([far, measured]), TOP, [(DISTANCE, "descending"), *ORDER])
        probabilities.append(np.stack([_floats(piece, name) for name in PROBABILITY_COLUMNS], axis=1))
        places = pc.index_in(piece["predicted_dx"], pa.array(DIAGNOSES, pa.string()))
        predicted.append(pc.fill_null(places, 0).to_numpy().astype(np.int64))
        confidence.append(_floats(piece, "confidence"))
    return Scored(
        worklist=worklist,
        images=sum(map(len, predicted)),
        probabilities=np.concatenate(probabilities),
        predicted=np.concatenate([np.zeros(0, np.int64), *predicted]),
        confidence=np.concatenate([np.zeros(0, np.float32), *confidence]),
        drifted=far.drop_columns(DISTANCE),
    )


def measures_of(rows: pa.Table) -> dict[str, Floats]:
    """The MEASURES of a drift reference, float32 (n,) each; NaN if an older skinml did not measure it."""
    found = {name: _floats(rows, name) for name in ("brightness", "sharpness", "confidence", "unlike_training")}
    return {**found, "megapixels": _floats(rows, "width") * _floats(rows, "height") / 1e6}


def _first(rows: pa.Table, most: int, order: list[tuple[str, str]]) -> pa.Table:
    return rows.take(pc.select_k_unstable(rows, min(most, len(rows)), order))


def _floats(rows: pa.Table, name: str) -> Floats:
    values: Floats = pc.cast(rows[name], pa.float32()).to_numpy(zero_copy_only=False).astype(np.float32)
    return values
