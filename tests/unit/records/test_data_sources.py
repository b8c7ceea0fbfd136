"""Tests of skinml/records/data_sources.py: the card cites what SOURCE.json says, and it never fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from skinml import tables
from skinml.records.data_sources import OTHERS, cited_sources
from skinml.schemas import RUNS


def prepared(workspace: Path, number: int, *metadata: Path, status: str = "completed") -> None:
    row = {
        "run_id": f"prepare-{number}",
        "flow": "prepare",
        "status": status,
        "started_at": datetime(2026, 11, number, tzinfo=UTC),
        "parameters": json.dumps({"metadata": [str(path) for path in metadata]}),
    }
    tables.append(str(workspace), "runs", pa.Table.from_pylist([row], RUNS), f"prepare-{number}")


def folder(place: Path, source: str | None) -> Path:
    place.mkdir()
    if source is not None:
        (place / "SOURCE.json").write_text(source, encoding="utf-8")
    return place / "metadata.csv"


def test_sources_are_cited_each_once_and_others_are_said(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    ham = folder(tmp_path / "ham", json.dumps({"data_source": "HAM10000", "data_licence": "CC BY-NC 4.0"}))
    assert cited_sources(str(workspace)) == {}
    prepared(workspace, 1, ham)
    prepared(workspace, 2, ham)
    assert cited_sources(str(workspace)) == {"data_source": "HAM10000", "data_licence": "CC BY-NC 4.0"}
    prepared(workspace, 3, folder(tmp_path / "failed", None), status="failed")
    assert OTHERS not in cited_sources(str(workspace))["data_source"]
    prepared(workspace, 4, folder(tmp_path / "clinic", None))
    assert cited_sources(str(workspace)) == {
        "data_source": f"HAM10000; {OTHERS}",
        "data_licence": f"CC BY-NC 4.0; {OTHERS}",
    }


def test_a_source_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    prepared(workspace, 1, folder(tmp_path / "a", "{broken"), folder(tmp_path / "b", "[1]"))
    assert cited_sources(str(workspace)) == {}
