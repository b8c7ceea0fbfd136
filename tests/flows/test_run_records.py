"""Every run leaves a row in `runs`, whatever ended it: real processes, real signals, a real S3 server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest

from skinml import tables
from skinml.process.crash_points import VARIABLE
from tests.services import seaweedfs
from tests.services.processes import wait_for

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Site:
    """A trained workspace, an archive, and folders for what a run leaves on this machine."""

    workspace: Path
    archive: Path
    temporary: Path
    state: Path

    def environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.temporary), "XDG_STATE_HOME": str(self.state)}

    def command(self, workspace: object = None) -> list[str]:
        command = [sys.executable, "-P", "-m", "skinml", "--workspace", str(workspace or self.workspace)]
        return [*command, "score", "--archive", str(self.archive), "--workers", "1"]

    def start(self, log: Path, **more: str) -> subprocess.Popen[bytes]:
        with log.open("wb") as errors:
            environment = {**self.environment(), **more}
            return subprocess.Popen(self.command(), env=environment, stderr=errors, start_new_session=True)

    def run(self, workspace: object = None, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment(), **more}
        return subprocess.run(
            self.command(workspace), env=environment, capture_output=True, text=True, check=False
        )

    def runs(self) -> pd.DataFrame:
        """Rows of `score`, the oldest first."""
        rows = tables.read(str(self.workspace), "runs").to_pandas()
        chosen: pd.DataFrame = rows[rows["flow"] == "score"].sort_values("started_at", ignore_index=True)
        return chosen


@pytest.fixture
def site(trained: Path, tmp_path: Path, jpeg: Callable[..., bytes]) -> Site:
    archive, temporary = tmp_path / "archive", tmp_path / "temporary"
    archive.mkdir()
    temporary.mkdir()
    for number in range(150):
        (archive / f"{number}.jpg").write_bytes(jpeg(number))
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    return Site(workspace, archive, temporary, tmp_path / "state")


def left_of(session: int) -> list[psutil.Process]:
    """Living processes of a session."""
    found = []
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


STARTING, WORKING = "workers start", "shards are done"


@pytest.mark.parametrize(
    ("number", "code", "moment"),
    [
        (signal.SIGTERM, 143, WORKING),
        (signal.SIGINT, 130, STARTING),
        pytest.param(signal.SIGTERM, 143, STARTING, marks=pytest.mark.drill),
        pytest.param(signal.SIGINT, 130, WORKING, marks=pytest.mark.drill),
        pytest.param(signal.SIGHUP, 129, STARTING, marks=pytest.mark.drill),
        pytest.param(signal.SIGHUP, 129, WORKING, marks=pytest.mark.drill),
    ],
)
def test_a_signal_ends_a_run_in_order(
    number: signal.Signals, code: int, moment: str, site: Site, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    night = site.start(log)
    if moment == STARTING:
        wait_for(lambda: b"150 images listed" in log.read_bytes(), 60, "the listing")
    else:
        wait_for(lambda: any(site.workspace.glob("scores/**/*.parquet")), 60, "the first part")
    start = time.monotonic()
    os.killpg(night.pid, number) if number == signal.SIGINT else night.send_signal(number)
    assert night.wait(60) == code, log.read_text()
    assert time.monotonic() - start < 10
    # Python's own resource tracker sees the end of its pipe, and then needs the core for a moment.
    wait_for(lambda: not left_of(night.pid), 10, "the end of its processes")

    said = log.read_text()
    assert said.splitlines()[-1] == f"skinml: ended by {number.name}"
    assert "Traceback" not in said
    [row] = site.runs().to_dict("records")
    assert (row["status"], row["error"]) == ("failed", f"ended by {number.name}")
    assert list(site.temporary.iterdir()) == []
    assert not any(site.state.rglob("*.json"))
    assert not any(site.workspace.glob("under_way/*"))

    assert site.run().returncode == 0
    assert site.runs()["done"].tolist() == [0, 150]


def test_the_next_run_records_one_that_was_killed_and_removes_what_it_left(site: Site, tmp_path: Path) -> None:
    order = tmp_path / "order"
    order.touch()
    killed = site.start(tmp_path / "log", **{VARIABLE: f"6:{order}"})
    assert killed.wait(120) == -signal.SIGKILL
    assert len(list(site.temporary.iterdir())) == 1
    assert len(list(site.workspace.glob("under_way/*.json"))) == 1
    assert len(site.runs()) == 0

    done = site.run()
    assert done.returncode == 0, done.stderr
    first, second = site.runs().to_dict("records")
    assert first["status"] == "failed"
    assert first["error"].startswith("died without a word")
    assert first["error"].endswith(f"recorded by {second['run_id']}")
    assert f"run {first['run_id']} died without a word" in done.stderr
    assert (second["status"], second["done"]) == ("completed", 150)
    assert list(site.temporary.iterdir()) == []
    assert not any(site.workspace.glob("under_way/*"))


def test_a_refused_request_leaves_no_row_and_nothing_else(site: Site) -> None:
    before = sorted(site.workspace.rglob("*"))
    refused = subprocess.run(
        [*site.command(), "--model", "20200101T000000Z-aaaaaa"],
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert len(site.runs()) == 0
    assert sorted(site.workspace.rglob("*")) == before
    assert list(site.temporary.iterdir()) == []
    assert not site.state.exists()


@pytest.mark.drill  # an S3 server of its own; tests/unit/records/test_kept_back.py shows each part of it
def test_the_row_of_a_run_whose_storage_was_away_is_written_by_the_next(
    site: Site, tmp_path: Path, trained: Path
) -> None:
    with seaweedfs.running(tmp_path / "s3") as store:
        workspace = f"s3://{store.new_bucket()}/workspace"
        store.files().put(str(trained), workspace[5:], recursive=True)
        environment = store.environment()
        store.server.stop()
        away = site.run(workspace, **environment)
        assert away.returncode == 1, away.stderr
        assert away.stderr.splitlines()[-1].startswith("skinml: s3://")
        [kept] = site.state.rglob("*.json")
        assert f"it is kept in {kept}, and the next run writes it" in away.stderr

        store.server.restart()
        back = site.run(workspace, **environment)
        assert back.returncode == 0, back.stderr
        with pytest.MonkeyPatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            rows = tables.read(workspace, "runs").to_pandas().sort_values("started_at")
        assert rows["status"].tolist()[-2:] == ["failed", "completed"]
        assert rows["error"].iloc[-2].startswith("StorageError: s3://")
        assert not any(site.state.rglob("*.json"))
