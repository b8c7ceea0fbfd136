"""Tests of deployments/health.py, with the health page of a real Dask scheduler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deployments.health import is_healthy
from flows.server import free_port
from tests.conftest import REPOSITORY
from tests.services.processes import service, wait_for


def check(*url: str, **environment: str) -> int:
    """The exit code of the health check."""
    command = [sys.executable, "-m", "deployments.health", *url]
    return subprocess.run(command, env=environment, cwd=REPOSITORY, check=False).returncode


def test_a_service_that_answers_is_healthy_and_one_that_does_not_is_not(tmp_path: Path) -> None:
    page = f"http://127.0.0.1:{free_port()}"
    scheduler = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler += ["--dashboard-address", page.removeprefix("http://"), "--no-dashboard"]
    assert not is_healthy(f"{page}/health")
    with service(scheduler, {}, tmp_path / "log"):
        wait_for(lambda: is_healthy(f"{page}/health"), 60, "the scheduler")
        assert check(f"{page}/health") == 0
        assert check(HEALTH_URL=f"{page}/health") == 0
        assert check(f"{page}/nothing") == 1
    assert check(f"{page}/health") == 1
    assert check("nonsense") == 1


def test_without_a_service_there_is_nothing_to_ask() -> None:
    assert check() == 0
