"""Export the scores of one run to a CSV or Parquet file that says which run, which model and how healthy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skinml import DISCLAIMER, __version__
from skinml.errors import RequestError, RunError
from skinml.records.export_files import appearing, beside, ending, write_beside, write_csv, write_parquet
from skinml.records.export_rows import Choice, Rows
from skinml.storage.connection import explained
from skinml.storage.objects import exists
from skinml.storage.urls import is_remote, normalise

FLOWS = ("score", "replay")
"""Flows that write `scores`."""

ENDINGS = (".csv", ".parquet")

ALL = Choice()
"""Every row and every column, in the order of the table."""


def check_target(out: str) -> str:
    """Return the normalised URL of a file that does not exist yet and can be written.

    Raises:
        RequestError: its suffix is not in ENDINGS, it or the file beside it exists already, or its folder does
            not exist.
    """
    target = normalise(out)
    if ending(target) not in ENDINGS:
        raise RequestError(f"--out {out}: not a supported format; the file name must end in .csv or .parquet")
    if exists(target):
        raise RequestError(f"--out {out}: exists already and is not overwritten; give another name")
    about = beside(target)
    if about is not None and exists(about):
        raise RequestError(
            f"--out {out}: {about}, which is to say what the file holds, exists already and is not "
            "overwritten; delete it or give another name"
        )
    if not is_remote(target) and not Path(target).parent.is_dir():
        raise RequestError(f"--out {out}: there is no folder {Path(target).parent}; create it first")
    return target


def export_scores(
    workspace: str,
    run: dict[str, Any],
    target: str,
    choice: Choice = ALL,
    marked: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the rows of `scores` that a run has added, or some of them, to one file.

    The file is written atomically. It has the columns of SCORES and `health`, or those that were chosen. What
    `about_run` says stands in the metadata of a Parquet file, and beside a CSV file in one of its name and
    `.json`. In a CSV, times are ISO 8601 in UTC, null is an empty cell, numbers have all their digits, and a
    text that begins like a formula or with `'` gets a `'` before it.

    Args:
        workspace: normalised URL.
        run: the run's row in `runs`, from `find_run` or `latest_run`.
        target: the URL from `check_target`.
        choice: which rows and columns, from `check_choice`.
        marked: whether a CSV file begins with a byte order mark.
        advance: is called with the number of rows of each piece that is read.

    Returns:
        The number of rows in the file.

    Raises:
        RunError: the number of rows in `scores` differs from the run's count.

    Example:
        >>> import pandas as pd, pyarrow as pa, tempfile
        >>> from datetime import UTC, datetime
        >>> from skinml import tables
        >>> from skinml.schemas import SCORES
        >>> from skinml.tables.parts import write_part
        >>> night = datetime(2026, 11, 24, 2, tzinfo=UTC)
        >>> run = {"run_id": "score-1", "started_at": night, "status": "completed", "done": 2,
        ...        "health": "usual"}
        >>> made = [{"run_id": "score-1", "run_date": night.date(), "image_id": image_id, "p_malignant": p}
        ...         for image_id, p in (("ISIC_0024306", 0.2), ("ISIC_0024310", 0.9))]
        >>> with tempfile.TemporaryDirectory() as workspace:
        ...     rows = pa.Table.from_pylist(made, SCORES)
        ...     part = write_part(workspace, "scores", rows, "part-1", {"run_date": "2026-11-24"})
        ...     _ = tables.publish(workspace, "scores", [part], "score-1")
        ...     target = check_target(f"{workspace}/night.csv")
        ...     choice = Choice(("image_id", "p_malignant", "health"), top=1)
        ...     written = export_scores(workspace, run, target, choice)
        ...     shown = pd.read_csv(target)[["image_id", "p_malignant", "health"]].to_dict("records")
        >>> written, shown
        (1, [{'image_id': 'ISIC_0024310', 'p_malignant': 0.9, 'health': 'usual'}])
    """
    rows = Rows(workspace, run, choice, advance)
    with explained(target), appearing(target) as path:
        if ending(target) == ".csv":
            written = write_csv(rows, path, choice.schema, marked)
        else:
            written = write_parquet(rows, path, choice.schema, about_run(run, choice))
        if run["status"] == "completed" and rows.read != run["done"]:
            raise RunError(
                f"run {run['run_id']} has scored {run['done']} images but {rows.read} rows are in scores; "
                "export again, and report this if it happens twice"
            )
        write_beside(target, about_run(run, choice) | {"rows": written})
    return written


def about_run(run: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """Return what a file says of its rows: the run, its model, its health, and what was chosen."""
    detail = run.get("health_detail")
    return {
        "notice": DISCLAIMER,
        "run_id": run["run_id"],
        "flow": run.get("flow"),
        "status": run["status"],
        "started_at": run["started_at"].isoformat(),
        "scored": run["done"],
        "model_version": run.get("model_version"),
        "health": run.get("health"),
        "health_detail": None if detail is None else json.loads(detail),
        "columns": choice.schema.names,
        "sort": choice.sorted_by,
        "top": choice.top,
        "skinml": __version__,
    }
