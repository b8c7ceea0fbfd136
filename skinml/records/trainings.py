"""Find the row in `runs` of a training that another run has asked for."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.compute as pc

from skinml import tables


def trained_row(workspace: str, requested_by: str) -> dict[str, Any] | None:
    """The row in `runs` of the training that a run asked for; None if it has none yet."""
    columns = ["flow", "status", "model_version", "parameters", "error", "started_at"]
    rows = tables.read(workspace, "runs", columns)
    found = rows.filter(
        pc.and_(pc.equal(rows["flow"], "train"), pc.match_substring(rows["parameters"], requested_by))
    )
    mine = [
        row
        for row in found.sort_by([("started_at", "descending")]).to_pylist()
        if json.loads(row["parameters"]).get("requested_by") == requested_by
    ]
    trained = [row for row in mine if row["status"] == "completed"]
    return next(iter(trained or mine), None)
