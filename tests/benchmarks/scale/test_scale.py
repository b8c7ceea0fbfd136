"""The scale benchmark runs whole, at a size where nothing takes long, and writes what it found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.program import run
from benchmarks.harness.scores import drawn_listing, drawn_scores
from benchmarks.scale.__main__ import BENCHMARK
from benchmarks.scale.sections.table import DAY, MODEL, RUN_ID
from skinml.schemas import LISTING, SCORES
from tests.conftest import REPOSITORY


@pytest.mark.drill
def test_a_trial_measures_every_section_and_leaves_the_repository_alone(tmp_path: Path) -> None:
    before = (REPOSITORY / BENCHMARK.document).read_text(encoding="utf-8")
    assert run(BENCHMARK, ["--scale", "0.0001", "--cache", str(tmp_path)]) == 0
    assert (REPOSITORY / BENCHMARK.document).read_text(encoding="utf-8") == before
    found = json.loads((tmp_path / "trial" / BENCHMARK.record).read_text(encoding="utf-8"))
    assert list(found) == ["ledger", "table", "dispatch"]
    assert [one["rows"] for one in found["ledger"]["figures"]["ledgers"]] == [100, 1_000, 10_000]
    assert found["table"]["figures"]["rows"]["rows"] == 100
    assert found["dispatch"]["figures"]["shards"] == 8
    written = (tmp_path / "trial" / BENCHMARK.document).read_text(encoding="utf-8")
    assert "**A trial, not a measurement**: dispatch, ledger, table" in written
    assert "| 10,000 |" in written


def test_made_up_rows_are_those_of_the_tables_and_the_same_each_time() -> None:
    images = drawn_listing(7, 50)
    assert images.schema == LISTING
    rows = drawn_scores(images, np.random.default_rng(1), RUN_ID, DAY, MODEL)
    assert rows.schema == SCORES
    assert all(column.null_count == 0 for column in rows.columns)
    assert rows.column("uri").equals(images.column("uri"))
    assert len(set(rows.column("sha256").to_pylist())) == 50
    again = drawn_scores(drawn_listing(7, 50), np.random.default_rng(1), RUN_ID, DAY, MODEL)
    assert again.drop(["scored_at", "last_modified"]).equals(rows.drop(["scored_at", "last_modified"]))
