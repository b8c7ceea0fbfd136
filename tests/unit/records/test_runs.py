"""Tests of skinml/records/runs.py: a run's identity, the conservation law, its row."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.errors import RunError
from skinml.records.runs import Counts, Run, begin, library_versions, run_row
from skinml.schemas import RUNS
from tests.effort import examples

COUNT = st.integers(0, 10**7)


def test_runs_have_names_of_their_own_that_say_what_and_when() -> None:
    runs = [begin("score", {"archive": "s3://x"}) for _ in range(50)]
    assert len({run.run_id for run in runs}) == 50
    assert all(re.fullmatch(r"score-\d{8}T\d{6}Z-[0-9a-f]{6}", run.run_id) for run in runs)
    assert runs[0].started_at.utcoffset() == timedelta(0)
    assert abs((datetime.now(UTC) - runs[0].started_at).total_seconds()) < 60
    assert f"{runs[0].started_at:%Y%m%dT%H%M%SZ}" in runs[0].run_id


@settings(max_examples=examples(100), derandomize=True, deadline=None)
@given(COUNT, COUNT, COUNT, st.integers(-3, 3))
def test_images_are_conserved(skipped: int, done: int, quarantined: int, lost: int) -> None:
    counts = Counts(skipped + done + quarantined + lost, skipped, done, quarantined)
    if lost == 0:
        counts.check()
        return
    with pytest.raises(RunError) as error:
        counts.check()
    assert str(error.value) == (
        f"counts do not add up: listed {counts.listed} is not skipped {skipped} + done {done} "
        f"+ quarantined {quarantined}; nothing was committed, please report this"
    )


def test_the_row_says_what_was_asked_and_what_came_of_it() -> None:
    started_at = datetime.now(UTC) - timedelta(seconds=10)
    run = Run("score-1", "score", started_at, {"archive": "s3://x", "when": started_at})
    row = run_row(run, "completed", Counts(100, 60, 30, 10), model_version="v1")
    assert row.schema == RUNS
    [values] = row.to_pylist()
    assert {name: values[name] for name in ("run_id", "flow", "status", "model_version", "error")} == {
        "run_id": "score-1",
        "flow": "score",
        "status": "completed",
        "model_version": "v1",
        "error": None,
    }
    assert [values[name] for name in ("listed", "skipped", "done", "quarantined")] == [100, 60, 30, 10]
    assert values["started_at"] == started_at
    assert 10 <= values["seconds"] < 60
    assert values["finished_at"] - started_at == timedelta(seconds=values["seconds"])
    assert values["images_per_second"] == pytest.approx(40 / values["seconds"]), "skipped images are no work"
    assert json.loads(values["parameters"]) == {"archive": "s3://x", "when": str(started_at)}
    assert json.loads(values["versions"]) == library_versions()


def test_a_failed_run_has_its_error() -> None:
    [values] = run_row(begin("score", {}), "failed", Counts(), error="StorageError: x").to_pylist()
    assert (values["status"], values["error"], values["model_version"]) == ("failed", "StorageError: x", None)
    assert values["images_per_second"] == 0


def test_the_libraries_that_matter_are_recorded() -> None:
    versions = library_versions()
    assert {"prefect", "dask", "deltalake", "obstore", "onnxruntime", "pillow", "simplejpeg"} <= set(versions)
    assert all(re.match(r"\d+\.", version) for version in versions.values())


def test_no_password_of_what_was_asked_stands_in_the_row() -> None:
    run = begin(
        "score", {"cluster": "tcp://reader:sesame@host:1", "archive": "s3://x/y?X-Amz-Signature=0a1b2c"}
    )
    [values] = run_row(run, "failed", Counts()).to_pylist()
    asked = json.loads(values["parameters"])
    assert asked == {"cluster": "tcp://***@host:1", "archive": "s3://x/y?X-Amz-Signature=***"}
