"""Nobody works for three nights: one run makes up for all of them. Part of `make drill-schedule`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.server import free_port
from flows.server import prefect_server as start_prefect_server
from skinml import tables
from tests.conftest import MadeUp
from tests.services.deployed import OFTEN, install, nights, rows_of_nights, some_images
from tests.services.processes import wait_for
from tests.services.running_up import running

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]

NIGHT_SECONDS = 20.0
"""Between two nights of `OFTEN`."""


def test_only_the_worker_is_off(
    trained: Path, made_up: MadeUp, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    """The server goes on planning. The first run of the worker that is back does it all, the others nothing."""
    installed = install(tmp_path, trained, made_up, some_images(jpeg, 5), cron=OFTEN)
    with start_prefect_server(tmp_path / "prefect", free_port()) as server:
        server.wait_until_ready()
        installed.deploy(server)
        for night in range(1, 4):
            (installed.archive / f"of night {night}.jpg").write_bytes(jpeg(1000 + night))
            wait_for(lambda: len(_late(nights(server))) >= night, 120, f"night {night}, that nobody works in")  # noqa: B023
        assert rows_of_nights(str(installed.workspace)).empty
        with installed.worker(server):
            wait_for(lambda: len(_done(nights(server))) >= 3, 240, "three runs of the worker that is back")
    rows = rows_of_nights(str(installed.workspace)).sort_values("started_at")
    assert set(rows["status"]) == {"completed"}
    assert rows["done"].tolist()[0] == 7
    assert set(rows["done"].tolist()[1:]) == {0}
    scores = tables.read(str(installed.workspace), "scores").to_pandas()
    assert (len(scores), scores["uri"].nunique()) == (7, 7)


def test_the_whole_machine_is_off(trained: Path, tmp_path: Path, jpeg: Callable[..., bytes]) -> None:
    """Nobody plans either. `skinml up` skips what was planned, and makes up for it by one run."""
    workspace = Path(shutil.copytree(trained, tmp_path / "workspace"))
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "first.jpg").write_bytes(jpeg(1))
    flags = ("--archive", archive, "--nightly", OFTEN)
    with running(tmp_path / "home", workspace, *flags) as up:
        wait_for(lambda: len(_done(up.runs_of("score-nightly", limit=50))) >= 1, 240, "a night")
        assert up.stop() == 0
    known = len(rows_of_nights(str(workspace)))
    for night in range(1, 4):
        (archive / f"of night {night}.jpg").write_bytes(jpeg(1000 + night))
        time.sleep(NIGHT_SECONDS)  # the time of a planned night has to pass
    with running(tmp_path / "home", workspace, *flags) as up:
        wait_for(lambda: tables.read(str(workspace), "scores").num_rows == 4, 240, "the run that makes up")
        runs = up.runs_of("score-nightly", limit=200)
        assert len([run for run in runs if run["state_name"] == "Skipped"]) >= 3
        assert len([run for run in runs if "made-up" in run["tags"]]) == 1
        assert up.stop() == 0
    rows = rows_of_nights(str(workspace)).sort_values("started_at")
    assert rows["done"].tolist()[known] == 3


def _late(runs: list[dict[str, object]]) -> list[object]:
    return [run["id"] for run in runs if run["state_name"] == "Late"]


def _done(runs: list[dict[str, object]]) -> list[object]:
    return [run["id"] for run in runs if run["state_type"] == "COMPLETED"]
