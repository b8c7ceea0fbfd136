"""Find past runs in the table `runs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.errors import RequestError

FOUND = [
    *("run_id", "flow", "status", "started_at", "done"),
    *("model_version", "health", "health_detail"),
]
"""What is read of a run."""

NAMED = 3
"""How many existing runs an error message names."""


def find_run(workspace: str, run_id: str, flows: Sequence[str]) -> dict[str, Any]:
    """Return the row of a run of one of these flows, columns of FOUND.

    Raises:
        RequestError: there is no such run; the message names the latest runs.
    """
    runs = tables.read(workspace, "runs", FOUND)
    found: list[dict[str, Any]] = runs.filter(pc.equal(runs["run_id"], run_id)).to_pylist()
    if found and found[0]["flow"] in flows:
        return found[0]
    others = runs.filter(pc.is_in(runs["flow"], pa.array(flows, pa.string())))
    named = others.sort_by([("started_at", "descending")])["run_id"].to_pylist()[:NAMED]
    there = f"the latest runs are {', '.join(named)}" if named else "there are no such runs yet"
    raise RequestError(
        f"--run {run_id}: no run of {' or '.join(flows)} in {workspace} has this run_id; {there}"
    )


def latest_run(workspace: str, flows: Sequence[str]) -> dict[str, Any]:
    """Return the newest completed run of one of these flows that has written rows, columns of FOUND.

    A night without new images has no rows, so it is passed over.

    Raises:
        RequestError: there is no such run.
    """
    runs = tables.read(workspace, "runs", FOUND)
    of_flows = pc.is_in(runs["flow"], pa.array(flows, pa.string()))
    whole = pc.and_(pc.equal(runs["status"], "completed"), pc.greater(runs["done"], 0))
    found: list[dict[str, Any]] = runs.filter(pc.and_(of_flows, whole)).sort_by("started_at").to_pylist()
    if not found:
        raise RequestError(
            f"--latest: no run of {' or '.join(flows)} in {workspace} has scored an image; "
            "run skinml score first, or name a run with --run"
        )
    return found[-1]


def runs_since(workspace: str, run: Mapping[str, Any], flows: Sequence[str]) -> int:
    """Return how many completed runs of these flows have begun after a run."""
    runs = tables.read(workspace, "runs", ["flow", "status", "started_at"])
    later = pc.greater(runs["started_at"], pa.scalar(run["started_at"], runs["started_at"].type))
    of_flows = pc.is_in(runs["flow"], pa.array(flows, pa.string()))
    whole = pc.and_(pc.equal(runs["status"], "completed"), of_flows)
    return len(runs.filter(pc.and_(later, whole)))


def check_scored(workspace: str) -> None:
    """Raise RequestError if nothing was scored in this workspace yet; `workspace` is normalised."""
    if tables.version(workspace, "scores") is None:
        raise RequestError(f"--outcomes: {workspace} has no scores yet; run skinml score first")
