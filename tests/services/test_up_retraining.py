"""Nights go on while a retraining is under way. Part of `make drill-schedule`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployments.up.processes import below
from deployments.up.reconcile import moment
from skinml import tables
from tests.flows.test_retrain import make_ready
from tests.services.deployed import OFTEN
from tests.services.processes import wait_for
from tests.services.running_up import Up, running

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]


def test_a_night_runs_while_a_retraining_waits_for_a_gpu(tmp_path: Path, jpeg: Callable[..., bytes]) -> None:
    """The worker of the pool `gpu` is on another machine, and does not come."""
    workspace, archive, home = tmp_path / "workspace", tmp_path / "archive", tmp_path / "home"
    for folder in (workspace, archive):
        folder.mkdir()
    make_ready(str(workspace), tmp_path)
    (workspace / "runs").mkdir()  # a workspace in which nothing has run yet is refused
    (archive / "before.jpg").write_bytes(jpeg(1))
    with running(home, workspace, "--archive", archive, "--nightly", OFTEN) as up:
        up.post("/work_pools/gpu/workers/heartbeat", name="elsewhere")
        [deployment] = up.post("/deployments/filter", deployments={"name": {"any_": ["retrain"]}})
        asked = up.post(f"/deployments/{deployment['id']}/create_flow_run")
        wait_for(lambda: bool(up.runs_of("train")), 240, "the training that it hands over")
        begun = datetime.now(UTC)
        (archive / "tonight.jpg").write_bytes(jpeg(2))
        wait_for(lambda: bool(_done(up, begun)), 240, "a night that was due after that")
        assert _state(up, asked["id"]) == "RUNNING", "the retraining was over too early for this test"
        [training] = up.runs_of("train")
        assert training["state_type"] == "SCHEDULED"
        assert up.stop() == 0
    assert below(home) == []
    scored = tables.read(str(workspace), "scores")["uri"].to_pylist()
    assert sorted(uri.rsplit("/", 1)[-1] for uri in scored) == ["before.jpg", "tonight.jpg"]


def _done(up: Up, since: datetime) -> list[dict[str, Any]]:
    """The nights that were due after a moment and have completed."""
    done = up.runs_of("score-nightly", flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}}, limit=50)
    return [run for run in done if moment(run["expected_start_time"]) > since]


def _state(up: Up, run: str) -> str:
    [found] = up.post("/flow_runs/filter", flow_runs={"id": {"any_": [run]}})
    return str(found["state_type"])
