"""Find the images of a run with the highest p_malignant, and read them again for its contact sheet."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from skinml import tables
from skinml.errors import ImageRejected
from skinml.explanation.source import read_source
from skinml.images.decode import Decoded, decode
from skinml.report.contact_sheet import EDGE, Tile

TOP = 10

LOOKS_MALIGNANT = 0.5
"""Malignant diagnoses together are as likely as the others. For a sentence only, not a threshold for care."""

COLUMNS = ("uri", "etag", "size_bytes", "sha256", "predicted_dx", "p_malignant")

BLANK = {
    "changed": "the image has changed since it was scored",
    "missing": "the image cannot be read any more",
}


def most_suspicious(workspace: str, run_id: str, run_date: date, top: int = TOP) -> list[dict[str, Any]]:
    """Return the rows of `scores` that a run has added with the highest p_malignant, the highest first.

    The table is read in pieces, and of each only `top` rows are kept.

    Args:
        workspace: normalised URL.
        run_id: the run.
        run_date: its date in UTC, the partition of its rows.
        top: at most so many rows.
    """
    where = pc.equal(pc.field("run_date"), run_date) & pc.equal(pc.field("run_id"), run_id)
    best: pa.Table | None = None
    for piece in tables.scan(workspace, "scores", COLUMNS, where=where):
        rows = piece if best is None else pa.concat_tables([best, piece])
        order = [("p_malignant", "descending"), ("uri", "ascending")]
        best = rows.take(pc.select_k_unstable(rows, min(top, len(rows)), order))
    return [] if best is None else best.to_pylist()


def count_malignant(workspace: str, run_id: str, run_date: date) -> int:
    """Return how many rows of a run have a p_malignant of at least LOOKS_MALIGNANT; arguments as above."""
    where = pc.equal(pc.field("run_date"), run_date) & pc.equal(pc.field("run_id"), run_id)
    where &= pc.field("p_malignant") >= LOOKS_MALIGNANT
    return sum(len(piece) for piece in tables.scan(workspace, "scores", ["uri"], where=where))


def tiles_of(rows: list[dict[str, Any]]) -> list[Tile]:
    """Read the images of rows of `scores` again and decode them; what cannot be shown is a blank tile.

    Only an image whose bytes are the ones that were scored is shown.
    """
    return [_tile(row) for row in rows]


def _tile(row: dict[str, Any]) -> Tile:
    p_malignant, predicted_dx = float(row["p_malignant"]), str(row["predicted_dx"])
    source = read_source(row)
    if source.data is None:
        return Tile(None, p_malignant, predicted_dx, BLANK[source.state])
    try:
        decoded = decode(source.data, EDGE)
    except ImageRejected as rejection:
        return Tile(None, p_malignant, predicted_dx, f"the image cannot be decoded: {rejection.reason.value}")
    return Tile(_in_its_proportions(decoded), p_malignant, predicted_dx)


def _in_its_proportions(decoded: Decoded) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Undo the stretching to a square."""
    scale = EDGE / max(decoded.width, decoded.height)
    size = (max(1, round(decoded.width * scale)), max(1, round(decoded.height * scale)))
    return np.asarray(Image.fromarray(decoded.pixels).resize(size, Image.Resampling.BICUBIC))
