"""Runs of the past, as `runs` has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.errors import RequestError

NAMED = 3
"""How many runs an error names."""


def find_run(workspace: str, run_id: str, flows: Sequence[str]) -> dict[str, Any]:
    """The row of a run of one of these flows: run_id, flow, status, started_at, done.

    Raises:
        RequestError: there is none, in a line that names the latest that are there.
    """
    runs = tables.read(workspace, "runs", ["run_id", "flow", "status", "started_at", "done"])
    found: list[dict[str, Any]] = runs.filter(pc.equal(runs["run_id"], run_id)).to_pylist()
    if found and found[0]["flow"] in flows:
        return found[0]
    others = runs.filter(pc.is_in(runs["flow"], pa.array(flows, pa.string())))
    named = others.sort_by([("started_at", "descending")])["run_id"].to_pylist()[:NAMED]
    there = f"the latest are {', '.join(named)}" if named else "there is none yet"
    raise RequestError(
        f"--run {run_id}: no run of {' or '.join(flows)} in {workspace} has this run_id; {there}"
    )
