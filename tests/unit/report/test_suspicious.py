"""The most suspicious images of a run: which they are, and what of them can be shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from skinml import tables
from skinml.report.suspicious import most_suspicious, tiles_of
from skinml.schemas import SCORES
from skinml.storage.urls import file_uri
from skinml.tables.parts import write_part

TODAY = date(2026, 11, 27)


def publish(workspace: str, run_id: str, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist([{"run_id": run_id, "run_date": TODAY, **row} for row in rows], SCORES)
    part = write_part(workspace, "scores", table, f"part-{run_id}", {"run_date": f"{TODAY}"})
    tables.publish(workspace, "scores", [part], run_id)


def test_only_the_runs_own_rows_count_the_highest_first(place: str) -> None:
    rows = [
        {"uri": f"{number}.jpg", "p_malignant": number / 100, "predicted_dx": "mel"} for number in range(60)
    ]
    publish(place, "mine", rows)
    publish(place, "other", [{"uri": "other.jpg", "p_malignant": 0.99, "predicted_dx": "mel"}])
    found = most_suspicious(place, "mine", TODAY)
    assert [row["uri"] for row in found] == [f"{number}.jpg" for number in range(59, 49, -1)]
    assert most_suspicious(place, "nobody", TODAY) == []
    assert len(most_suspicious(place, "other", TODAY)) == 1


@pytest.fixture
def row(tmp_path: Path, jpeg: Callable[..., bytes]) -> dict[str, Any]:
    data = jpeg(1, 120, 60)
    (tmp_path / "a.jpg").write_bytes(data)
    return {
        "uri": file_uri(str(tmp_path / "a.jpg")),
        "etag": "e",
        "size_bytes": len(data),
        "sha256": sha256(data).hexdigest(),
        "predicted_dx": "mel",
        "p_malignant": 0.9,
    }


def test_an_image_is_shown_in_its_own_proportions(row: dict[str, Any]) -> None:
    [tile] = tiles_of([row])
    assert tile.pixels is not None
    assert tile.pixels.shape == (84, 168, 3)
    assert (tile.p_malignant, tile.predicted_dx) == (0.9, "mel")


def test_other_bytes_than_were_scored_are_not_shown(
    row: dict[str, Any], tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(2, 120, 60))
    [tile] = tiles_of([row])
    assert (tile.pixels, tile.why_blank) == (None, "the image has changed since it was scored")


def test_a_missing_or_broken_image_is_blank_with_its_reason(row: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.jpg").unlink()
    [tile] = tiles_of([row])
    assert (tile.pixels, tile.why_blank) == (None, "the image cannot be read any more")
    (tmp_path / "a.jpg").write_bytes(b"<html>")
    [tile] = tiles_of([{**row, "sha256": sha256(b"<html>").hexdigest()}])
    assert (tile.pixels, tile.why_blank) == (None, "the image cannot be decoded: not_an_image")
