"""Find the checkpoints of fits that were begun and never finished, once they are old."""

from __future__ import annotations

import json
from datetime import datetime

from skinml.errors import SkinmlError
from skinml.layout import checkpoints_url
from skinml.storage.objects import names, read_bytes

RECORD = "checkpoint.json"
"""As `training.checkpoints` names it; that module needs libraries of the extra `train`."""

MOST_BYTES = 4 * 2**20


def old_checkpoints(workspace: str, before: datetime) -> list[str]:
    """URLs of the files of checkpoints that were saved last before this time, each folder's record last.

    A checkpoint without a record, or with one that cannot be read, is left alone: it may be under way.
    """
    found = []
    for key in names(checkpoints_url(workspace)):
        folder = checkpoints_url(workspace, key)
        if _saved_at(folder, before) < before:
            files = sorted(names(folder), key=lambda name: name == RECORD)
            found += [f"{folder}/{name}" for name in files]
    return found


def _saved_at(folder: str, unknown: datetime) -> datetime:
    """When a checkpoint was saved last."""
    try:
        record = json.loads(read_bytes(f"{folder}/{RECORD}", MOST_BYTES))
        saved = datetime.fromisoformat(record["saved_at"])
    except (SkinmlError, ValueError, KeyError, TypeError):
        return unknown
    return saved if saved.tzinfo is not None else unknown
