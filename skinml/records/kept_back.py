"""Rows of `runs` that could not be written: kept on this machine's disk until a later run writes them."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import pyarrow as pa

from skinml.errors import RequestError
from skinml.process.scratch import temporary_folder
from skinml.records.rows import is_recorded_as_dead, put_row
from skinml.records.runs import as_table
from skinml.storage.urls import normalise

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
    for path in [path for folder in _folders() for path in sorted(folder.glob("*.json")) if path.is_file()]:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if normalise(kept["workspace"]) != workspace:  # it may have been given through a link then
                continue
            row = _checked(kept["row"], path.stem)
        except (
            OSError,
            RequestError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
            pa.ArrowException,
        ) as error:
            logger.warning("%s is not a run's row (%s): left alone", path, error)
            continue
        # Another machine's run may have believed it dead since.
        put_row(workspace, row, corrected=is_recorded_as_dead(workspace, path.stem))
        with suppress(OSError):  # what cannot be removed is written once all the same
            path.unlink()
        logger.info("the row of run %s, which could not be written then, stands in runs now", path.stem)
        written += 1
    return written


def _checked(row: object, run_id: str) -> dict[str, Any]:
    """The row, if it is one that `runs` can be read with, and the one that the file's name says."""
    if not isinstance(row, dict) or row["run_id"] != run_id:
        raise ValueError(f"it is not that of run {run_id}")
    as_table(row).to_pylist()
    return row


def _folders() -> list[Path]:
    """Where a user's programs keep what must survive a restart; without a home, beside temporary files."""
    beside = temporary_folder() / f"skinml-runs-{os.getuid()}"
    found = [beside] if _is_ours(beside) else []
    state = os.environ.get("XDG_STATE_HOME")
    with suppress(RuntimeError):  # no home, such as a service's user
        home = Path(state) if state else Path.home() / ".local" / "state"
        found.insert(0, home / "skinml" / "runs")
    return found


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can put rows there: any user can make a folder of this name before we do."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return True
    return S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
