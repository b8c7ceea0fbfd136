"""Find past runs in the table `runs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.errors import RequestError

NAMED = 3
"""How many existing runs an error message names."""


def find_run(workspace: str, run_id: str, flows: Sequence[str]) -> dict[str, Any]:
    """Return the row of a run of one of these flows: run_id, flow, status, started_at, done.

    Raises:
        RequestError: there is no such run; the message names the latest runs.
    """
    runs = tables.read(workspace, "runs", ["run_id", "flow", "status", "started_at", "done"])
    found: list[dict[str, Any]] = runs.filter(pc.equal(runs["run_id"], run_id)).to_pylist()
    if found and found[0]["flow"] in flows:
        return found[0]
    others = runs.filter(pc.is_in(runs["flow"], pa.array(flows, pa.string())))
    named = others.sort_by([("started_at", "descending")])["run_id"].to_pylist()[:NAMED]
    there = f"the latest runs are {', '.join(named)}" if named else "there are no such runs yet"
    raise RequestError(
        f"--run {run_id}: no run of {' or '.join(flows)} in {workspace} has this run_id; {there}"
    )


def check_scored(workspace: str) -> None:
    """Raise RequestError if nothing was scored in this workspace yet; `workspace` is normalised."""
    if tables.version(workspace, "scores") is None:
        raise RequestError(f"--outcomes: {workspace} has no scores yet; run skinml score first")
