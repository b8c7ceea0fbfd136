"""Diagnoses that arrive later meet the scores of past runs: each image and model version once."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.external_validation.outcomes import (
    CONTRADICTION,
    DIAGNOSED,
    KNOWN,
    NO_MODEL,
    NO_SCORE,
    SCORED,
    SEVERAL,
    Outcomes,
    by_month,
    choose_outcomes,
    match_scores,
    outcomes_table,
)
from skinml.schemas import SCORES

SCHEMA = pa.schema([SCORES.field(name) for name in SCORED])
NOTHING: dict[str, Any] = {}


def score(image_id: str, **more: Any) -> dict[str, Any]:
    row = {
        "image_id": image_id,
        "uri": f"s3://b/{image_id}.jpg",
        "sha256": f"hash of {image_id}",
        "run_date": date(2026, 11, 3),
        "scored_at": datetime(2026, 11, 3, 2, tzinfo=UTC),
        "model_name": "thesis-cnn",
        "model_version": "v1",
        "predicted_dx": "mel",
    }
    return {**row, **more}


def diagnoses(*rows: tuple[str, str], **more: Any) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["image_id", "dx"]).assign(sha256=None, **more)
    return frame.assign(lesion_id=frame["image_id"])[DIAGNOSED]


def joined(
    scores: list[dict[str, Any]], told: pd.DataFrame, known: dict[str, Any] = NOTHING
) -> tuple[Outcomes, Any]:
    matched = match_scores([pa.Table.from_pylist(scores, SCHEMA)], told)
    return choose_outcomes(matched, told, known), matched


def whys(outcomes: Outcomes) -> dict[str, str]:
    return dict(zip(outcomes.unused["image_id"], outcomes.unused["why"], strict=True))


def test_an_image_without_a_score_and_a_score_without_a_diagnosis() -> None:
    outcomes, matched = joined([score("a"), score("b")], diagnoses(("a", "nv"), ("c", "mel")))
    assert outcomes.rows[["image_id", "dx", "predicted_dx"]].astype(str).values.tolist() == [["a", "nv", "mel"]]
    assert whys(outcomes) == {"c": NO_SCORE}
    [month] = by_month(outcomes, matched.scored)
    assert (month["month"], month["model_version"]) == ("2026-11", "v1")
    assert (month["scored"], month["images"], month["diagnosed_share"]) == (2, 1, 0.5)


@pytest.mark.parametrize("name", ["A", "a.jpg", "folder/a", "a_downsampled"])
def test_another_spelling_is_the_same_image(name: str) -> None:
    assert len(joined([score("a")], diagnoses((name, "nv")))[0].rows) == 1


def test_a_spelling_that_could_be_two_diagnoses_is_none() -> None:
    assert joined([score("a")], diagnoses(("A", "nv"), ("a.jpg", "mel")))[0].rows.empty
    assert len(joined([score("a")], diagnoses(("A", "nv"), ("a", "mel")))[0].rows) == 1


def test_several_files_with_one_image_id_are_not_guessed_between() -> None:
    files = [score("a"), score("a", uri="s3://b/other/a.jpg", sha256="other bytes")]
    assert whys(joined(files, diagnoses(("a", "nv")))[0]) == {"a": SEVERAL}
    copies = [score("a"), score("a", uri="s3://b/other/a.jpg")]
    assert len(joined(copies, diagnoses(("a", "nv")))[0].rows) == 1
    unknown = [score("a", sha256=None), score("a", sha256=None, uri="s3://b/other/a.jpg")]
    assert whys(joined(unknown, diagnoses(("a", "nv")))[0]) == {"a": SEVERAL}


def test_the_bytes_decide_where_they_are_known() -> None:
    files = [score("a"), score("a", uri="s3://b/other/a.jpg", sha256="other bytes")]
    told = diagnoses(("a", "nv")).assign(sha256="other bytes")
    outcomes, _ = joined(files, told)
    assert outcomes.rows["uri"].tolist() == ["s3://b/other/a.jpg"]
    assert outcomes.unused[["uri", "why"]].values.tolist() == [["s3://b/a.jpg", SEVERAL]]
    renamed = [score("another name", sha256="other bytes")]
    assert len(joined(renamed, told)[0].rows) == 1


def test_of_a_file_that_was_replaced_the_last_score_counts() -> None:
    later = score("a", sha256="new", scored_at=datetime(2026, 12, 1, tzinfo=UTC), run_date=date(2026, 12, 1))
    outcomes, _ = joined([later, score("a")], diagnoses(("a", "nv")))
    assert outcomes.rows["month"].astype(str).tolist() == ["2026-12"]


def test_each_model_version_has_its_own_outcome() -> None:
    scores = [score("a"), score("a", model_version="v2", predicted_dx="nv")]
    outcomes, matched = joined(scores, diagnoses(("a", "nv")))
    assert len(outcomes.rows) == 2
    rows = by_month(outcomes, matched.scored)
    assert [(row["model_version"], row["accuracy"]) for row in rows] == [("v1", 0.0), ("v2", 1.0)]


def known(**columns: list[Any]) -> pd.DataFrame:
    columns = {**{"image_id": [], "lesion_id": [], "sha256": []}, **columns}
    return pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})


@pytest.mark.parametrize(
    "its", [known(image_id=["a"]), known(lesion_id=["a"]), known(sha256=["hash of a"])], ids=str
)
def test_what_the_version_was_trained_with_is_no_outcome(its: pd.DataFrame) -> None:
    scores = [score("a"), score("b"), score("a", model_version="v2")]
    told = diagnoses(("a", "nv"), ("b", "mel"))
    whole = its.reindex(range(1))
    outcomes, matched = joined(scores, told, {"v1": whole, "v2": known()})
    assert sorted(outcomes.rows["model_version"].astype(str)) == ["v1", "v2"]
    assert whys(outcomes) == {"a": KNOWN}
    first = by_month(outcomes, matched.scored)[0]
    assert (first["scored"], first["diagnosed_share"]) == (1, 1.0)  # of what it was not trained on


def test_a_version_that_is_gone_may_have_been_trained_with_anything() -> None:
    outcomes, matched = joined([score("a")], diagnoses(("a", "nv")), {"v1": None})
    assert whys(outcomes) == {"a": NO_MODEL}
    assert by_month(outcomes, matched.scored)[0]["images"] == 0


def test_the_same_bytes_with_two_diagnoses_are_not_used() -> None:
    told = diagnoses(("a", "nv"), ("b", "mel")).assign(sha256="hash of a")
    assert CONTRADICTION in whys(joined([score("a")], told)[0]).values()


def test_nothing_at_all() -> None:
    for scores in ([], [score("a")]):
        outcomes, _ = joined(scores, diagnoses(("x", "nv")))
        assert outcomes.rows.empty
        assert whys(outcomes) == {"x": NO_SCORE}
        assert outcomes_table(outcomes).num_rows == 0


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["v1", "v2"]), st.integers(1, 12))),
    st.lists(st.sampled_from("abcdef"), unique=True, min_size=1),
    st.integers(1, 5),
)
def test_every_score_is_counted_and_no_image_twice(
    made: list[tuple[str, str, int]], told: list[str], each: int
) -> None:
    rows = [score(name, model_version=v, run_date=date(2026, month, 1)) for name, v, month in made]
    table = pa.Table.from_pylist(rows, SCHEMA)
    pieces = [table.slice(start, each) for start in range(0, len(rows), each)]
    matched = match_scores(pieces, frame := diagnoses(*((name, "nv") for name in told)))
    outcomes = choose_outcomes(matched, frame, {})
    assert sum(matched.scored.values()) == len(rows)
    wanted = {(name, version) for name, version, _ in made if name in told}
    pairs = outcomes.rows[["image_id", "model_version"]].astype(str).itertuples(index=False, name=None)
    assert sorted(pairs) == sorted(wanted)
    assert set(outcomes.unused["image_id"]) == set(told) - {name for name, _, _ in made}
