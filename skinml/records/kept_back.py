"""Keep rows of `runs` that could not be written on the local disk, until a later run writes them."""

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
    """Keep a run's row (columns of RUNS) on local disk; return the file, or None if no folder is writable."""
    text = json.dumps({"workspace": workspace, "row": row}, default=str)
    for folder in _folders():
        new = folder / f".{row['run_id']}.{secrets.token_hex(4)}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            new.write_text(text, encoding="utf-8")
            return new.rename(folder / f"{row['run_id']}.json")
    return None


def write_kept_back(workspace: str) -> int:
    """Write the rows that earlier runs on this machine kept back for this workspace; return how many."""
    written = 0
    for path in [path for folder in _folders() for path in sorted(folder.glob("*.json")) if path.is_file()]:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if normalise(kept["workspace"]) != workspace:  # normalised again: its path may be a link now
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
            logger.warning("%s is ignored: it does not contain the row of a run (%s)", path, error)
            continue
        # A run on another machine may have recorded it as dead in the meantime.
        put_row(workspace, row, corrected=is_recorded_as_dead(workspace, path.stem))
        with suppress(OSError):  # harmless if it stays: a row is written only once
            path.unlink()
        logger.info("wrote the row of run %s to runs; storage had failed when that run ended", path.stem)
        written += 1
    return written


def _checked(row: object, run_id: str) -> dict[str, Any]:
    """Return the row after checking that it fits the table and is of the run in the file's name."""
    if not isinstance(row, dict) or row["run_id"] != run_id:
        raise ValueError(f"it is not the row of run {run_id}")
    as_table(row).to_pylist()
    return row


def _folders() -> list[Path]:
    """Return folders for files that must survive a restart: the user's state folder, then a temporary one."""
    beside = temporary_folder() / f"skinml-runs-{os.getuid()}"
    found = [beside] if _is_ours(beside) else []
    state = os.environ.get("XDG_STATE_HOME")
    with suppress(RuntimeError):  # the user has no home, for example that of a service
        home = Path(state) if state else Path.home() / ".local" / "state"
        found.insert(0, home / "skinml" / "runs")
    return found


def _is_ours(folder: Path) -> bool:
    """Whether only we can write there: another user could have created a folder of this name before us."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return True
    return S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
