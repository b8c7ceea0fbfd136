"""Tests of skinml/training/jobs.py: a job is text, and names nothing of the machine that made it."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from skinml.training.jobs import FINISH, FIT, FinishJob, FitJob

JOB = FitJob(
    workspace="s3://bucket/prefix",
    dataset_key="32px-fast-bicubic-srgb-npy",
    stored_as="npy",
    inputs="s3://bucket/prefix/under_way/run/grouped.npz",
    inputs_sha256="0" * 64,
    architecture="thesis-cnn",
    balanced=True,
    keep_best=True,
    batch_size=64,
    epochs=20,
    seed=42,
    results="s3://bucket/prefix/under_way/run/grouped",
    export=True,
)
FINISHING = FinishJob(
    **{name: getattr(JOB, name) for name in ("workspace", "dataset_key", "stored_as", "inputs")},
    inputs_sha256=JOB.inputs_sha256,
    architecture=JOB.architecture,
    seed=JOB.seed,
    fitted=JOB.results,
    fitted_sha256="1" * 64,
    results="s3://bucket/prefix/under_way/run/grouped-finished",
)


def test_a_job_is_text_of_less_than_a_kilobyte() -> None:
    for adapter, job in ((FIT, JOB), (FINISH, FINISHING)):
        text = adapter.dump_json(job)  # type: ignore[arg-type]
        assert adapter.validate_json(text) == job
        assert len(text) < 1000
        values = json.loads(text)
        start = values.pop("start", {})
        assert all(isinstance(value, str | int | None) for value in (*values.values(), *start.values()))
        assert pickle.loads(pickle.dumps(job)) == job  # noqa: S301 - our own


@pytest.mark.parametrize(
    "changes",
    [
        {"workspace": "relative/folder"},
        {"inputs": "inputs.npz"},
        {"results": ""},
        {"inputs_sha256": "abc"},
        {"batch_size": 0},
        {"epochs": 0},
        {"seed": -1},
        {"stored_as": "hdf5"},
    ],
)
def test_what_no_other_machine_could_run_is_no_job(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        FIT.validate_json(FIT.dump_json(replace(JOB, **changes), warnings=False))
