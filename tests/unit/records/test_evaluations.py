"""Evaluations are found again, and their predictions are believed only by their hash."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml import tables
from skinml.errors import RunError
from skinml.layout import report_url
from skinml.records.evaluations import (
    Evaluation,
    evaluation_row,
    find_evaluations,
    read_predictions,
    set_key,
)
from skinml.schemas import EVALUATED
from skinml.storage.objects import write_bytes
from skinml.storage.parquet import as_parquet

DATA = as_parquet(EVALUATED.empty_table())
ONE = Evaluation(
    evaluated_at=datetime(2026, 11, 1, tzinfo=UTC),
    run_id="evaluate-1",
    model_name="thesis-cnn",
    model_version="v1",
    set_key=set_key(["a", "b"]),
    images_url="/images",
    images=2,
    lesions=1,
    metrics={"accuracy": 0.5, "per_class": {"mel": {"auc": None}}},
    intervals={"accuracy": [0.1, 0.9]},
    predictions_sha256=hashlib.sha256(DATA).hexdigest(),
)


def test_what_is_written_is_found_newest_first(place: str) -> None:
    assert find_evaluations(place) == []
    later = replace(
        ONE, run_id="evaluate-2", model_version="v2", evaluated_at=datetime(2026, 11, 2, tzinfo=UTC)
    )
    for one in (ONE, later):
        tables.append(place, "evaluations", evaluation_row(one), one.run_id)
        tables.append(place, "evaluations", evaluation_row(one), one.run_id)  # a retry of the stage
    assert find_evaluations(place) == [later, ONE]
    assert find_evaluations(place, "v1") == [ONE]
    assert find_evaluations(place, "v3") == []


def test_predictions_are_believed_only_by_their_hash(place: str) -> None:
    url = report_url(place, ONE.run_id, "predictions.parquet")
    write_bytes(url, DATA)
    assert read_predictions(place, ONE).schema == EVALUATED
    write_bytes(url, DATA + b" ")
    with pytest.raises(RunError, match=r"is not the .* that was written"):
        read_predictions(place, ONE)


def test_a_row_with_a_path_for_a_run_id_is_refused(place: str) -> None:
    with pytest.raises(RunError, match="is no run_id"):
        read_predictions(place, replace(ONE, run_id="../../somewhere"))


def test_a_damaged_row_is_named(place: str) -> None:
    row = evaluation_row(ONE)
    broken = row.set_column(row.schema.get_field_index("metrics"), row.schema.field("metrics"), [["{"]])
    tables.append(place, "evaluations", broken, "x")
    with pytest.raises(RunError, match="the row of 'evaluate-1' is damaged"):
        find_evaluations(place)


@given(st.lists(st.text("0123456789abcdef", min_size=1), max_size=5))
def test_the_key_of_a_set_ignores_the_order_and_counts_copies(hashes: list[str]) -> None:
    assert set_key(hashes) == set_key(hashes[::-1])
    assert set_key(hashes) != set_key([*hashes, "a"])
