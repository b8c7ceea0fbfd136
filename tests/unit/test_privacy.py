"""Tests of skinml/privacy.py: what is set, where, and that it is in time. tests/services has the effect."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from skinml.models.inference import infer
from skinml.privacy import NO_REPORTS, report_to_nobody
from tests.conftest import REPOSITORY

STATE = "json.dumps({'set': dict(os.environ), 'imported': sorted(sys.modules)})"


def fresh_process(code: str, data: bytes = b"", **environment: str) -> tuple[dict[str, str], set[str]]:
    """The environment and the modules of a new process without our settings, once it has run `code`."""
    clean = {name: value for name, value in os.environ.items() if name not in NO_REPORTS}
    done = subprocess.run(
        [sys.executable, "-c", f"import json, os, sys\n{code}\nprint({STATE})"],
        env={**clean, **environment},
        input=data,
        capture_output=True,
        check=True,
    )
    state = json.loads(done.stdout)
    return state["set"], set(state["imported"])


@pytest.mark.parametrize("module", ["skinml", "flows", "tasks"])
def test_it_is_set_before_anything_that_reports_is_imported(module: str) -> None:
    found, imported = fresh_process(f"import {module}")
    assert found.items() >= NO_REPORTS.items()
    assert not imported & {"onnxruntime", "prefect"}


def test_it_is_set_in_workers_that_we_did_not_start() -> None:
    shard = pickle.dumps(infer)  # all that such a worker sees of us
    found, imported = fresh_process("import pickle; pickle.loads(sys.stdin.buffer.read())", shard)
    assert found.items() >= NO_REPORTS.items()
    assert "onnxruntime" not in imported


def test_a_choice_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    report_to_nobody()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_runs_that_a_prefect_worker_starts_have_it() -> None:
    """Such a run imports Prefect before it imports us."""
    shipped = YAML(typ="safe").load(REPOSITORY / "deployments" / "prefect.yaml")
    for deployment in shipped["deployments"]:
        assert deployment["work_pool"]["job_variables"]["env"].items() >= NO_REPORTS.items(), deployment["name"]
