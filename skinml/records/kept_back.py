"""Rows of `runs` that could not be written: kept on this machine's disk until a later run writes them."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from skinml import tables
from skinml.runs import as_table
from skinml.scratch import temporary_folder

logger = logging.getLogger("skinml.runs")


def keep_back(workspace: str, row: Mapping[str, Any]) -> Path | None:
    """Keep a run's row (columns of RUNS) on local disk; the file, or None where no folder takes it."""
    text = json.dumps({"workspace": workspace, "row": row}, default=str)
    for folder in _folders():
        new = folder / f".{row['run_id']}.{secrets.token_hex(4)}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            new.write_text(text, encoding="utf-8")
            return new.rename(folder / f"{row['run_id']}.json")
    return None


def write_kept_back(workspace: str) -> int:
    """Write the rows that earlier runs on this machine kept back for this workspace; how many there were."""
    written = 0
    for path in [path for folder in _folders() for path in sorted(folder.glob("*.json"))]:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["workspace"] != workspace:
                continue
            row = as_table(kept["row"])
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            logger.warning("%s is not a run's row (%s): left alone", path, error)
            continue
        tables.append(workspace, "runs", row, kept["row"]["run_id"])
        path.unlink(missing_ok=True)
        logger.info("the row of run %s, which could not be written then, stands in runs now", path.stem)
        written += 1
    return written


def _folders() -> list[Path]:
    """Where a user's programs keep what must survive a restart; without a home, beside temporary files."""
    beside = temporary_folder() / f"skinml-runs-{os.getuid()}"
    state = os.environ.get("XDG_STATE_HOME")
    if state:
        return [Path(state) / "skinml" / "runs", beside]
    try:
        return [Path.home() / ".local" / "state" / "skinml" / "runs", beside]
    except RuntimeError:  # such as a service's user
        return [beside]
