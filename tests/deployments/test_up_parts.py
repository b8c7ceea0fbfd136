"""The parts of `skinml up` that need no server."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deployments import PREFECT_FILE
from deployments.up.auth import choose_credentials
from deployments.up.children import Child
from deployments.up.deploy import named_variables, read_plan
from deployments.up.logs import KEPT, LogPipe
from deployments.up.not_started import why_not_started
from deployments.up.processes import below, mark, stop
from deployments.up.settings import Address, client_environment, common, server_environment
from deployments.up.state import Home, locked, read_state, write_state
from flows import local_server
from skinml.errors import RequestError
from skinml.process.switches import HOME
from skinml.requests.up import AUTH_VARIABLE
from tests.services.processes import wait_for

ALL = {f"SKINML_{name}": "/somewhere" for name in ("WORKSPACE", "ARCHIVE", "IMAGES", "METADATA")}
UNITS = sorted(PREFECT_FILE.with_name("systemd").glob("skinml*.*"))

# Starts a child in a session of its own, as Prefect starts a run, and ignores SIGTERM.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    return made


# --- What is deployed -------------------------------------------------------------------------------------


def test_a_changed_variable_changes_what_is_deployed() -> None:
    """`up` deploys only what has changed: tests/services/test_up.py."""
    file = read_plan(PREFECT_FILE, ALL, "30 1 * * *", "Asia/Tokyo").file
    assert named_variables(file, {"SKINML_MIN_NEW": "7", "HOME": "/"})["SKINML_MIN_NEW"] == "7"
    assert named_variables(file, {})["SKINML_MIN_NEW"] == ""


def test_the_shipped_deployments_get_the_cron_and_the_zone_that_were_given() -> None:
    plan = read_plan(PREFECT_FILE, ALL, "30 1 * * *", "Asia/Tokyo")
    assert not plan.left_out
    schedules = {one["name"]: one["schedules"] for one in plan.file["deployments"]}
    assert schedules["score-nightly"] == [{"cron": "30 1 * * *", "timezone": "Asia/Tokyo", "active": True}]
    assert schedules["compact-weekly"][0]["cron"] == "0 5 * * 0"
    assert {one["timezone"] for several in schedules.values() for one in several} == {"Asia/Tokyo"}
    assert plan.file["pull"] == []


def test_the_schedules_of_an_own_file_stay(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        PREFECT_FILE.read_text(encoding="utf-8").replace('"0 2 * * *"', '"15 3 * * *"'), encoding="utf-8"
    )
    plan = read_plan(own, ALL)
    [nightly] = [one for one in plan.file["deployments"] if one["name"] == "score-nightly"]
    assert nightly["schedules"] == [{"cron": "15 3 * * *", "timezone": "Europe/Vienna", "active": True}]
    own.write_text(
        PREFECT_FILE.read_text(encoding="utf-8").replace('"0 5 * * 0"', '"99 5 * * 0"'), encoding="utf-8"
    )
    with pytest.raises(RequestError, match=r"own.yaml: compact-weekly '99 5 \* \* 0'"):
        read_plan(own, ALL)


def test_a_deployment_without_its_settings_is_left_out() -> None:
    plan = read_plan(PREFECT_FILE, {"SKINML_WORKSPACE": "/w", "SKINML_ARCHIVE": ""}, "0 2 * * *", "UTC")
    assert plan.left_out["prepare"] == ["SKINML_IMAGES", "SKINML_METADATA"]
    assert plan.left_out["score-nightly"] == ["SKINML_ARCHIVE"]
    assert {"compact-weekly", "retrain"} <= {*plan.names}, "they need the workspace alone"


def test_nights_have_a_worker_that_no_retraining_keeps_busy(tmp_path: Path) -> None:
    plan = read_plan(PREFECT_FILE, ALL)
    assert plan.of_pool("retrain") == ["retrain"]
    assert {"score-nightly", "prepare"} <= {*plan.of_pool("skinml")}
    assert plan.pools_here(gpu=False) == ["skinml", "retrain"]
    assert plan.pools_here(gpu=True) == ["skinml", "retrain", "gpu"]
    assert not plan.nights_wait_for_retrainings
    own = tmp_path / "copy of an earlier version.yaml"
    own.write_text(PREFECT_FILE.read_text(encoding="utf-8").replace("*beside_the_nights", "*on_this_machine"))
    earlier = read_plan(own, ALL)
    assert earlier.pools_here(gpu=False) == ["skinml"]
    assert earlier.nights_wait_for_retrainings


@pytest.mark.parametrize("text", ["", "[]", "deployments: 3", "deployments: [{name: x}]", "a: [", "\0"])
def test_a_file_that_is_no_prefect_yaml_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(RequestError, match=r"--deployments .*mine\.yaml: not"):
        read_plan(file, ALL, "0 2 * * *", "UTC")


# --- Credentials and state --------------------------------------------------------------------------------


def test_made_up_credentials_are_kept_and_only_this_user_reads_them(home: Home) -> None:
    secret = choose_credentials(home, {})
    assert stat.S_IMODE(home.secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    assert choose_credentials(home, {AUTH_VARIABLE: "true"}) == secret
    assert local_server.credentials(home.folder) == secret
    home.secret.chmod(0o644)
    assert choose_credentials(home, {}) != secret, "somebody may have read it"


def test_credentials_from_the_environment(home: Home) -> None:
    prefects = {"PREFECT_SERVER_API_AUTH_STRING": "b:second-secret"}
    assert choose_credentials(home, prefects) == "b:second-secret"
    assert choose_credentials(home, {AUTH_VARIABLE: "a:first-secret", **prefects}) == "a:first-secret"
    for wrong in ("a:", ":b", "a:b\nc", "a:\N{LATIN SMALL LETTER E WITH ACUTE}"):
        with pytest.raises(RequestError, match="no user:password"):
            choose_credentials(home, {AUTH_VARIABLE: wrong})


def test_the_state_is_that_of_a_living_process_of_this_user(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, str(home.folder))
    assert read_state(home.folder) is None
    with write_state(home, "http://127.0.0.1:1/api", "http://127.0.0.1:1", "/w", auth=False):
        state = read_state(home.folder)
        assert state is not None
        assert (state.pid, state.workspace) == (os.getpid(), "/w")
        assert local_server.running_server() == (state, None)
        monkeypatch.setenv("PREFECT_API_URL", "")
        assert local_server.running_server() is None, "an empty address means no server at all"
        monkeypatch.delenv("PREFECT_API_URL")
        written = json.loads(home.state.read_text())
        for change in ({"process_started": 1.0}, {"host": "elsewhere"}, {"system": "before"}, {"pid": "x"}):
            home.state.write_text(json.dumps({**written, **change}))
            assert read_state(home.folder) is None, change
        home.state.write_text(json.dumps(written))
        home.state.chmod(0o666)
        assert read_state(home.folder) is None, "anybody could have written it"
        home.state.write_bytes(b"\xff{")
    assert not home.state.exists()


def test_one_lock_for_a_home(home: Home) -> None:
    with locked(home) as first, locked(home) as second:
        assert (first, second) == (True, False)
    with locked(home) as again:
        assert again


def test_the_environments_have_what_self_hosting_needs_and_nothing_of_another_server(home: Home) -> None:
    theirs = {
        **{"PREFECT_API_URL": "https://elsewhere/api", "PREFECT_API_KEY": "k", "PREFECT_PROFILE": "work"},
        **{"SKINML_UP_DATABASE": "postgresql+asyncpg://u:p@h/d", "SKINML_UP_AUTH": "u:p"},
        **{
            "PREFECT_SERVER_ANALYTICS_ENABLED": "true",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PATH": "/bin",
        },
    }
    base = common(home, theirs)
    server = server_environment(base, Address("127.0.0.1", 4711), "u:s", "postgresql+asyncpg://h/d")
    worker = client_environment(base, "http://127.0.0.1:4711/api", "u:s")
    assert server["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert server["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith("filesystem")
    assert server["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"] == "events,flow_runs"
    assert server["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4711,http://localhost:4711"
    assert worker["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30", "the user's own choice"
    assert worker["PREFECT_API_URL"] == "http://127.0.0.1:4711/api"
    for name in ("PREFECT_API_KEY", "PREFECT_PROFILE", "SKINML_UP_DATABASE", "SKINML_UP_AUTH"):
        assert name not in server
        assert name not in worker
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in worker


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["alembic.util.exc.CommandError: Can't locate revision identified by 'x'"],
            "another version of Prefect",
        ),
        (["sqlalchemy.exc.DatabaseError: file is not a database", "Server stopped!"], "its database is broken"),
        (["one", "SomeError: two", "Server stopped!"], "SomeError: two"),
        ([], "it printed nothing"),
    ],
)
def test_why_a_server_did_not_start(lines: list[str], said: str) -> None:
    assert said in why_not_started(lines)


# --- Children and their logs ------------------------------------------------------------------------------


def test_a_log_stays_below_its_bound_and_has_no_secret_in_it(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    pipe = LogPipe(os.fdopen(reading, "rb"), tmp_path / "child.log", max_bytes=10_000)
    with os.fdopen(writing, "wb") as child:
        child.write(b"at https://user:a-secret-word@host/x\n" + b"\xff\xfe\n")
        child.write(b"never a new line " * 20_000)
        for number in range(5_000):
            child.write(f"line {number}\n".encode())
    pipe.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + KEPT
    assert sum(file.stat().st_size for file in files) < (1 + KEPT) * 10_000 + 2 * 16_384
    assert pipe.last[-1] == "line 4999"
    assert not any("a-secret-word" in file.read_text() for file in files)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_neither_stops_a_child_nor_floods_the_journal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logging.raiseExceptions", True)
    (tmp_path / "child.log").symlink_to("/dev/full")
    reading, writing = os.pipe()
    pipe = LogPipe(os.fdopen(reading, "rb"), tmp_path / "child.log")
    with os.fdopen(writing, "wb") as child:
        for number in range(5_000):
            child.write(f"line {number}\n".encode())
    pipe.close()
    assert pipe.last[-1] == "line 4999"
    assert capsys.readouterr().err == ""


def test_a_child_that_cannot_be_started_is_tried_again(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """Such as while the machine has no memory or no more processes; here the program is missing."""
    child = Child("dying", [str(home.folder / "program")], os.environ, home)
    assert not child.tend()
    wait_for(lambda: child.tend() or "could not be started" in caplog.text, 10, "a second try")
    assert not child.is_alive
    (home.folder / "program").write_text("#!/bin/sh\nexec sleep 60\n")
    (home.folder / "program").chmod(0o700)
    wait_for(child.tend, 10, "another try")
    child.signal(signal.SIGKILL)
    child.finish()


def test_a_child_that_dies_is_started_again_after_a_while(
    home: Home, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.up.children.FIRST_WAIT", 0.05)
    child = Child("dying", [sys.executable, "-c", "print('hello'); raise SystemExit(3)"], os.environ, home)
    child._wait = 0.05
    child.start()
    starts = 0
    deadline = time.monotonic() + 60
    while starts < 2 and time.monotonic() < deadline:
        starts += child.tend()
    child.finish()
    assert starts == 2
    assert "the dying ended (exit code 3): started again in" in caplog.text
    assert "hello" in child.log.read_text()
    assert child._wait == pytest.approx(0.2)


def test_what_is_below_an_up_is_found_and_stopped_also_in_other_sessions(home: Home) -> None:
    command = [sys.executable, "-c", STUBBORN]
    ours = {**os.environ, **mark(home.folder, 1)}
    with (
        subprocess.Popen(command, env=ours, stdout=subprocess.PIPE) as first,
        subprocess.Popen(command, env={**os.environ, **mark(home.folder, 2)}, stdout=subprocess.PIPE) as second,
    ):
        for process in (first, second):
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        assert len(below(home.folder, 1)) == 2
        assert len(below(home.folder)) == 4
        stop(home.folder, 1, seconds=0.5)
        assert below(home.folder, 1) == []
        assert len(below(home.folder)) == 2, "those of another up are not touched"
        assert second.poll() is None
        stop(home.folder, seconds=0.5)
        assert below(home.folder) == []


def test_a_watch_stops_what_is_left_when_up_is_killed(home: Home, tmp_path: Path) -> None:
    """A stand-in for `up`: it starts a child and its watch, and is killed."""
    script = f"""
import os, subprocess, sys, time
from pathlib import Path
from deployments.up.children import Watch
from deployments.up.processes import mark
from deployments.up.state import Home
home = Home(Path({str(home.folder)!r}))
child = {{**os.environ, **mark(home.folder, os.getpid())}}
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=child, start_new_session=True)
watch = Watch(child, home)
print("ready", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == b"ready\n"
        assert len(below(home.folder, up.pid)) == 1
        watchers = psutil.Process(up.pid).children()
        up.kill()
    wait_for(lambda: below(home.folder) == [], 30, "the watch")
    psutil.wait_procs(watchers, timeout=30)
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in watchers)


# --- systemd ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_a_unit_is_hardened_and_calls_what_exists(unit: Path) -> None:
    services = [one.name for one in UNITS if one.suffix == ".service"]
    assert services == [f"skinml-{name}.service" for name in ("score", "status", "up", "worker@")]
    if unit.suffix != ".service":
        return
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    service = parser["Service"]
    for name, value in {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes"}.items():
        assert service[name] == value
    assert service["StateDirectory"] == "skinml"
    assert service["User"] == "skinml"
    assert service["ExecStart"].startswith("/opt/skinml/bin/")
    assert "PASSWORD" not in service["ExecStart"].upper()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/skinml/bin/", "/usr/bin/env ")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    units = [f"./{unit.name}" for unit in UNITS if unit.suffix in (".service", ".timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_first_signal_is_noted_and_the_second_one_ends_the_process() -> None:
    script = """
import os, signal, time
from deployments.up.signals import noted
with noted() as asked:
    os.kill(os.getpid(), signal.SIGHUP)
    assert asked.wait(5) and asked.by == "SIGHUP", asked.by
    print("noted", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("noted\n", 128 + signal.SIGTERM), done.stderr
