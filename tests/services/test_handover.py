"""A training is handed to a worker of the pool `gpu`: it trains, it is not there, it fails, it is lost."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from flows.handover import check_handover, train_challenger
from flows.server import Server
from skinml import tables
from skinml.errors import RequestError, RunError
from skinml.models import registry
from skinml.requests.handover import HandoverRequest
from skinml.requests.training import TrainRequest
from tasks import handover
from tests.conftest import MadeUp
from tests.services import answers
from tests.services.deployed import Installation, install, nights
from tests.services.processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Each fit takes half a minute: all but one of them belong to `make drill-handover`.

Ask = Callable[..., str]


@pytest.fixture(scope="module")
def installed(
    prefect_server: Server,
    trained: Path,
    made_up: MadeUp,
    tmp_path_factory: pytest.TempPathFactory,
) -> Installation:
    made = install(tmp_path_factory.mktemp("handover"), trained, made_up, {"a.jpg": b""})
    made.deploy(prefect_server)
    return made


@pytest.fixture
def ask(
    prefect_server: Server,
    installed: Installation,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Ask]:
    """Ask for a challenger in a flow run, as `retrain` does."""
    monkeypatch.setattr(handover, "POLL_SECONDS", 0.5)
    run_id = f"retrain-20261127T000000Z-{request.node.name[:40]}"

    @flow(name="asks-for-a-challenger", retries=0)
    def asks(options: dict[str, Any], changes: dict[str, Any]) -> str:
        wanted = {"epochs": 1, "requested_by": run_id, **changes}
        chosen = HandoverRequest(**options)
        check_handover(chosen)
        return train_challenger(str(installed.workspace), TrainRequest(**wanted), chosen)

    def call(changes: dict[str, Any] | None = None, **options: Any) -> str:
        return asks(options, changes or {})

    with temporary_settings({PREFECT_API_URL: prefect_server.url, PREFECT_LOGGING_TO_API_ENABLED: False}):
        yield call


@contextmanager
def gpu_worker(installed: Installation, server: Server, log: str) -> Iterator[subprocess.Popen[bytes]]:
    with installed.worker(server, pool="gpu", log=log) as process:
        wait_for(lambda: _served("gpu"), 120, "the worker of the pool gpu")
        yield process


def _served(pool: str) -> bool:
    found = handover.look_at_pool(pool)
    return found is not None and found.online > 0


def _asked_for(workspace: Path) -> list[dict[str, Any]]:
    rows = tables.read(str(workspace), "runs").to_pylist()
    return [row for row in rows if row["flow"] == "train" and "retrain-2026" in row["parameters"]]


@pytest.mark.drill
def test_without_a_worker_that_ever_served_the_pool_it_trains_here(
    ask: Ask, installed: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "skinml"):
        version = ask()
    assert "no worker has ever served the work pool gpu" in caplog.text
    assert version in registry.versions(str(installed.workspace))


def test_a_pool_that_does_not_exist_is_refused(ask: Ask) -> None:
    with pytest.raises(RequestError, match="--train-on tpu: the Prefect server has no such work pool"):
        ask(train_on="tpu")
    with pytest.raises(RequestError, match="--train-on skinml: train/train is deployed to the pool gpu"):
        ask(train_on="skinml")


def test_a_worker_trains(
    ask: Ask, installed: Installation, prefect_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with gpu_worker(installed, prefect_server, "trains.log"), caplog.at_level(logging.INFO, "skinml"):
        version = ask()
        # Its row in `runs` says that it has trained, a moment before its state does.
        wait_for(lambda: _ended(prefect_server) == [("COMPLETED", "gpu")], 60, "the state of the training")
    assert "training handed over to the work pool gpu" in caplog.text
    [row] = [row for row in _asked_for(installed.workspace) if row["model_version"] == version]
    assert row["status"] == "completed"
    assert "epoch 1 of 1" not in caplog.text, "it trained here too"


@pytest.mark.drill
def test_a_failure_of_a_worker_is_said_here(ask: Ask, installed: Installation, prefect_server: Server) -> None:
    before = len(_ended(prefect_server))
    with (
        gpu_worker(installed, prefect_server, "fails.log"),
        pytest.raises(RunError, match=r"the training on gpu is Failed.*no architecture is called"),
    ):
        ask({"model": "vgg16", "requested_by": "retrain-2026-fails"})
    assert _ended(prefect_server)[before:] == [("FAILED", "gpu")]


def _ended(server: Server) -> list[tuple[str, str]]:
    """How the trainings of the pool `gpu` have ended, the first one first."""
    handed = nights(server, deployments={"name": {"any_": ["train"]}})
    return [(run["state_type"], run["work_pool_name"]) for run in handed if run["state_type"] != "CANCELLED"]


def test_a_server_that_fails_when_asked_is_no_reason_to_fail(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once the flow run has begun, whoever is asked about the pool is too busy to answer."""
    monkeypatch.setattr("flows.handover._here", lambda *_: "trained here")
    busy = answers.answering(lambda request, _: answers.send(request, 503))
    with busy as address, temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        monkeypatch.setattr(handover, "get_client", lambda **_: SyncPrefectClient(address))
        assert ask() == "trained here"
        assert "the Prefect server does not answer" in caplog.text
        with pytest.raises(RunError, match="nobody of the pool gpu can train"):
            ask(train_fallback="none")


@pytest.mark.drill
def test_a_worker_that_is_lost_while_it_trains_is_waited_for_and_replaced(
    ask: Ask, installed: Installation, prefect_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Its process is stopped with all that it started, so that nobody can say how the training ended."""

    def lose(process: subprocess.Popen[bytes]) -> None:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            member.kill()

    with gpu_worker(installed, prefect_server, "lost.log") as worker, caplog.at_level(logging.INFO, "skinml"):
        hook = _when(caplog, "has begun to train", lambda: lose(worker))
        try:
            version = ask({"epochs": 1}, worker_wait=3.0)
        finally:
            logging.getLogger("skinml").removeHandler(hook)
    assert "the worker that trained was lost, and none is back within 3 s: training here" in caplog.text
    assert version in registry.versions(str(installed.workspace))
    with caplog.at_level(logging.INFO, "skinml"), pytest.raises(RunError, match="no worker came within 1 s"):
        ask({"requested_by": "retrain-2026-none"}, worker_wait=1.0, train_fallback="none")
    assert "no worker of the work pool gpu is alive: waiting 1 s for one, then giving up" in caplog.text
    [_, refused] = [
        run
        for run in nights(prefect_server, deployments={"name": {"any_": ["train"]}})
        if run["state_type"] == "CANCELLED"
    ]
    assert "no worker took it in time" in refused["state"]["message"]


def _when(caplog: pytest.LogCaptureFixture, text: str, then: Callable[[], None]) -> logging.Handler:
    """Do something once, when a line is logged."""

    class Once(logging.Handler):
        done = False

        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage() and not self.done:
                self.done = True
                then()

    hook = Once()
    logging.getLogger("skinml").addHandler(hook)
    return hook
