"""Tests of skinml/records/old_checkpoints.py."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from skinml.records import old_checkpoints
from skinml.records.old_checkpoints import old_checkpoints as find
from skinml.training import checkpoints

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def _checkpoint(workspace: Path, key: str, record: object) -> None:
    folder = workspace / "checkpoints" / key
    folder.mkdir(parents=True)
    (folder / "epoch-00003.npz").write_bytes(b"arrays")
    if record is not None:
        (folder / "checkpoint.json").write_text(json.dumps(record))


def test_only_what_is_known_to_be_old_is_found(tmp_path: Path) -> None:
    _checkpoint(tmp_path, "old", {"saved_at": (NOW - timedelta(hours=2)).isoformat()})
    _checkpoint(tmp_path, "new", {"saved_at": NOW.isoformat()})
    _checkpoint(tmp_path, "begun", None)
    _checkpoint(tmp_path, "strange", {"saved_at": "yesterday"})
    _checkpoint(tmp_path, "no-zone", {"saved_at": "2020-01-01T00:00:00"})
    _checkpoint(tmp_path, "list", [1])
    folder = f"{tmp_path}/checkpoints/old"
    assert find(str(tmp_path), NOW - timedelta(hours=1)) == [
        f"{folder}/epoch-00003.npz",
        f"{folder}/checkpoint.json",
    ]
    assert find(str(tmp_path / "empty"), NOW) == []


def test_records_have_one_name() -> None:
    assert old_checkpoints.RECORD == checkpoints.RECORD
