"""`skinml up` loses power, is killed, or loses a part of it: what comes back. Part of `make drill-schedule`."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from deployments.up.processes import below
from flows.server import free_port
from skinml import tables
from skinml.process.crash_points import VARIABLE
from tests.services.processes import service, wait_for
from tests.services.receivers import webhook
from tests.services.running_up import Up, kill_all, refused, running

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]

OFTEN = "* * * * * */20"
POSTGRES = "/usr/lib/postgresql"


@pytest.fixture
def archive(tmp_path: Path, jpeg: Callable[..., bytes]) -> Path:
    """30 images, the first of them broken."""
    made = tmp_path / "archive"
    made.mkdir()
    for number in range(30):
        (made / f"{number}.jpg").write_bytes(jpeg(number) if number else b"")
    return made


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "workspace"))


@pytest.mark.parametrize("killed", ["everything", "everything, before the commit", "up alone"])
def test_a_night_that_was_killed_is_made_up_once(
    killed: str, workspace: Path, archive: Path, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    home, order = tmp_path / "home", tmp_path / "order"
    flags = ("--archive", archive, "--nightly", OFTEN)
    with_point = {VARIABLE: f"7:{order}"} if "commit" in killed else {}
    order.touch()
    with running(home, workspace, *flags, environment=with_point) as up:
        wait_for(lambda: bool(_in_state(up, "RUNNING")) or not order.exists(), 240, "a night")
        if with_point:  # the flow kills itself at its crash point, the rest a moment later
            wait_for(lambda: not order.exists(), 240, "the crash point")
        if killed == "up alone":
            up.process.kill()
            up.process.wait()
            begun = time.monotonic()
            wait_for(lambda: below(home) == [], 30, "the end of what was below it")
            print(f"\n{killed}: nothing was left after {time.monotonic() - begun:.0f} s")
        else:
            up.lose_power()
    assert below(home) == []
    (archive / "tonight.jpg").write_bytes(jpeg(1000))
    time.sleep(45)  # two nights are missed: their time has to pass

    with (
        webhook() as hook,
        running(home, workspace, *flags, environment={"SKINML_NOTIFY": hook.url}) as up,
    ):
        assert "the deployments are as they were" in up.said
        made = [run for run in up.runs_of("score-nightly", limit=50) if "made-up" in run["tags"]]
        assert len(made) == 1
        assert "score-nightly of" in up.said
        wait_for(lambda: _scored(workspace) == 30, 240, "the night that makes up")
        wait_for(lambda: not _in_state(up, "RUNNING", "PENDING"), 120, "the end of a night")
        runs = up.runs_of("score-nightly", limit=50)
        first = runs[0]
        assert first["state_name"] == "Crashed", first["state_name"]
        wait_for(lambda: bool(hook.about("A run crashed")), 60, "that somebody is told")
        skipped = [run for run in runs if run["state_name"] == "Skipped"]
        assert len(skipped) >= 2
        assert len([run for run in runs if "made-up" in run["tags"]]) == 1
        begun = time.monotonic()
        assert up.stop() == 0
        print(f"{killed}: {len(skipped)} skipped, stopped in {time.monotonic() - begun:.0f} s")
    scores = tables.read(str(workspace), "scores").to_pandas()
    assert (len(scores), scores["uri"].nunique()) == (30, 30)


def test_a_server_and_a_worker_that_are_killed_are_started_again(
    workspace: Path, archive: Path, tmp_path: Path
) -> None:
    with running(tmp_path / "home", workspace, "--archive", archive, "--nightly", OFTEN) as up:
        wait_for(lambda: bool(_in_state(up, "COMPLETED")), 240, "a night")
        for name in ("worker", "server"):
            kill_all([one for one in up.children() if name in one.cmdline()])
        wait_for(lambda: up.said.count("started again in") >= 3, 60, "what up says of server and workers")
        done = up.home / "logs" / "worker-skinml.log"
        known = done.read_text().count("submitted to infrastructure")
        wait_for(lambda: done.read_text().count("submitted to infrastructure") > known, 240, "the next night")
        assert up.stop() == 0
    assert below(tmp_path / "home") == []


def test_a_database_of_another_version_is_said_in_one_line(workspace: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, workspace) as up:
        assert up.stop() == 0
    with sqlite3.connect(home / "prefect" / "prefect.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    code, said = refused(home, workspace, "--port", 0)
    assert code == 1
    assert "its database was made by another version of Prefect" in said
    assert "\n" not in said
    assert below(home) == []
    (home / "prefect" / "prefect.db").write_bytes(b"no database" * 1000)
    code, said = refused(home, workspace, "--port", 0)
    assert (code, "its database is broken" in said) == (1, True), said
    assert below(home) == []


@pytest.mark.skipif(not Path(POSTGRES).exists(), reason="no PostgreSQL here")
def test_up_on_postgresql_keeps_the_password_to_itself(workspace: Path, archive: Path, tmp_path: Path) -> None:
    secret = "a-secret-word"  # noqa: S105
    with _postgres(tmp_path, secret) as url:
        home = tmp_path / "home"
        flags = ("--archive", archive, "--nightly", OFTEN)
        with running(home, workspace, *flags, environment={"SKINML_UP_DATABASE": url}) as up:
            wait_for(lambda: bool(_in_state(up, "COMPLETED")), 240, "a night")
            everything = [psutil.Process(up.process.pid), *up.children()]
            assert not any(secret in argument for one in everything for argument in one.cmdline())
            up.lose_power()
            assert not (home / "prefect" / "prefect.db").exists()
            files = [file for file in home.rglob("*") if file.is_file()]
            assert not [file for file in files if secret.encode() in file.read_bytes()]
            assert secret not in up.said
        with running(home, workspace, *flags, environment={"SKINML_UP_DATABASE": url}) as up:
            assert up.stop() == 0
    assert _scored(workspace) == 29


def _in_state(up: Up, *states: str) -> list[str]:
    return [run["id"] for run in up.runs_of("score-nightly", limit=50) if run["state_type"] in states]


def _scored(workspace: Path) -> int:
    place = str(workspace)
    return tables.read(place, "scores").num_rows if tables.version(place, "scores") else 0


@contextmanager
def _postgres(folder: Path, secret: str) -> Iterator[str]:
    """A PostgreSQL of its own, which asks for a password."""
    [programs] = sorted(Path(POSTGRES).glob("*/bin"))[-1:]
    data, password, port = folder / "data", folder / "password", free_port()
    password.write_text(secret)
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if _is_root() else []
    data.mkdir()
    if as_user:
        for one in (folder, *folder.parents):
            if one == Path("/tmp"):  # noqa: S108
                break
            one.chmod(0o755)
        subprocess.run(["chown", "nobody", data, password], check=True)
    made = [
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        "skinml",
        "--pwfile",
        str(password),
        "-A",
        "scram-sha-256",
    ]
    subprocess.run([*as_user, *made], check=True, capture_output=True, cwd="/")
    command = [*as_user, str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(data)]
    with service([*command, "-c", "listen_addresses=127.0.0.1"], {}, folder / "postgres.log"):
        ready = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
        wait_for(
            lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, 60, "PostgreSQL"
        )
        yield f"postgresql+asyncpg://skinml:{secret}@127.0.0.1:{port}/postgres"


def _is_root() -> bool:
    return bool(psutil.Process().uids().real == 0)
