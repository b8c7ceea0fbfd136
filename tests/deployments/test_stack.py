"""compose.yaml as a whole, without an engine: every service's own command line, run as in its container.

One network namespace stands in for the networks, and /etc/hosts for their names. PostgreSQL, S3, Prefect, Dask
and the worker are real. A night is started and writes its rows to the bucket. `make drill-compose` runs it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.deployments.images import Image, as_container, can_run_as_container, images
from tests.deployments.test_compose import SERVICES

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not can_run_as_container() or shutil.which("ip") is None, reason="needs root, iproute2 and namespaces"
    ),
]

VALUES = {
    "POSTGRES_PASSWORD": secrets.token_hex(8),
    "PREFECT_AUTH": f"skinml:{secrets.token_hex(8)}",
    "AWS_ACCESS_KEY_ID": "testkey",
    "AWS_SECRET_ACCESS_KEY": secrets.token_hex(12),
}


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs; None if it is not installed."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *Path("/usr/local").glob("**/bin/initdb")]
    return found[0].parent if found else None


def filled_in(value: str) -> str:
    """What compose makes of a value."""
    return re.sub(r"\$\{(\w+):[^}]*\}", lambda found: VALUES[found[1]], value).replace("$$", "$")


@dataclass
class Stack:
    """The services that run."""

    folder: Path
    namespace: str
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        """Of one service."""
        return {key: filled_in(str(value)) for key, value in SERVICES[name].get("environment", {}).items()}

    def home(self, name: str) -> Path:
        """The volume of one service."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        return home

    def contained(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> list[str]:
        """A command line inside the container of a service."""
        target = SERVICES[name]["image"].split(":")[0].removeprefix("skinml/")
        image = images().get(target) or Image(
            environment={"PATH": os.environ["PATH"]}, user="10001", group="10001"
        )
        hosts = self.folder / "hosts"
        values = self.environment(name) if environment is None else environment
        return [
            "ip",
            "netns",
            "exec",
            self.namespace,
            *as_container(image, command, self.home(name), values, hosts),
        ]

    def start(self, name: str, command: list[str] | None = None, **more: Any) -> subprocess.Popen[bytes]:
        """Start a service by its entry point and command."""
        service = SERVICES[name]
        if command is None:
            image = images()[service["image"].split(":")[0].removeprefix("skinml/")]
            command = [*service.get("entrypoint", image.entrypoint), *service.get("command", [])]
            command = [filled_in(str(word)) for word in command]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.contained(name, command, **more), stdout=log, stderr=log, start_new_session=True
            )
        self.started[name] = process
        return process

    def log(self, name: str) -> str:
        """What a service has said."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def wait_until_healthy(self, name: str, seconds: float = 180) -> None:
        """Call the service's health check in its container until it succeeds."""
        check = SERVICES[name]["healthcheck"]["test"]
        assert check[0] == "CMD"
        command = [sys.executable if word == "/usr/local/bin/python" else word for word in check[1:]]
        deadline = time.monotonic() + seconds
        while subprocess.run(self.contained(name, command), capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, f"{name}: {self.log(name)[-3000:]}"
            assert self.started[name].poll() is None, f"{name} ended: {self.log(name)[-3000:]}"
            time.sleep(1)

    def run(self, name: str, *command: str) -> str:
        """Run a program in the container of a service; what it prints."""
        done = subprocess.run(self.contained(name, list(command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self) -> None:
        """End all services."""
        for process in self.started.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.started.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path, f"compose-{secrets.token_hex(3)}")
    names = " ".join(SERVICES)
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost {names}\n", encoding="utf-8")
    subprocess.run(["ip", "netns", "add", stack.namespace], check=True)
    try:
        subprocess.run(["ip", "-n", stack.namespace, "link", "set", "lo", "up"], check=True)
        yield stack
    finally:
        stack.stop()
        subprocess.run(["ip", "netns", "delete", stack.namespace], check=False)


def start_postgres(stack: Stack) -> None:
    """What the entry point of PostgreSQL's image does with the same variables."""
    programs = postgres_programs()
    assert programs is not None
    data = "/home/skinml/data"
    script = (
        f'echo "$POSTGRES_PASSWORD" > /tmp/password && {programs}/initdb --username="$POSTGRES_USER" '
        f"--pwfile=/tmp/password --auth=scram-sha-256 --pgdata={data} && "
        f"{programs}/postgres --single -D {data} postgres <<< 'CREATE DATABASE prefect' && "
        f"exec {programs}/postgres -D {data} -c listen_addresses='*' -c unix_socket_directories=/tmp"
    )
    stack.start("postgres", ["bash", "-ec", script])
    deadline = time.monotonic() + 120
    # The image's socket lies where PostgreSQL's own programs look for it.
    check = [*SERVICES["postgres"]["healthcheck"]["test"][1:], "--host", "127.0.0.1"]
    while subprocess.run(stack.contained("postgres", check), capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, stack.log("postgres")
        assert stack.started["postgres"].poll() is None, stack.log("postgres")
        time.sleep(0.5)


PUT = """
import sys, s3fs
s3fs.S3FileSystem().put(sys.argv[1], sys.argv[2], recursive=True)
"""


def test_a_night_runs_from_schedule_to_rows(stack: Stack, trained: Path, jpeg: Callable[..., bytes]) -> None:
    has_postgres = postgres_programs() is not None
    if has_postgres:
        start_postgres(stack)
    stack.start("s3")
    stack.start("dask-scheduler")
    server = stack.environment("prefect")
    if not has_postgres:
        del server["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    stack.start("prefect", environment=server)
    for name in ("s3", "dask-scheduler", "prefect"):
        stack.wait_until_healthy(name)
    deployed = stack.start("deploy")
    stack.start("dask-worker")
    assert deployed.wait(timeout=300) == 0, stack.log("deploy")
    stack.start("cpu-worker")
    stack.start("retrain-worker")
    for name in ("dask-worker", "cpu-worker", "retrain-worker"):
        stack.wait_until_healthy(name)

    files = stack.home("cpu-worker") / "files"
    (files / "archive").mkdir(parents=True)
    for number in range(20):
        (files / "archive" / f"{number}.jpg").write_bytes(jpeg(number))
    shutil.copytree(trained, files / "workspace")
    python = [sys.executable, "-c", PUT]
    for folder in ("archive", "workspace"):
        stack.run("cpu-worker", *python, f"/home/skinml/files/{folder}/", f"skinml/{folder}/")

    said = stack.run("deploy", "prefect", "deployment", "run", "score/score-nightly", "--watch")
    assert "Completed" in said, said + stack.log("cpu-worker")
    read = (
        "from skinml import tables; print(*tables.read('s3://skinml/workspace', 'scores')['uri'].to_pylist())"
    )
    uris = stack.run("cpu-worker", sys.executable, "-c", read).split()
    assert len([uri for uri in uris if uri.startswith("s3://skinml/archive/")]) == 20
    assert "Run out-of-band function" in stack.log("dask-worker"), "the work went to the Dask workers"

    page = "from urllib.request import urlopen; print(urlopen('http://prefect:4200/').read())"
    assert "<title>Prefect" in stack.run("deploy", sys.executable, "-c", page), "the UI, with a read-only root"
    unsigned = stack.contained(
        "deploy", ["prefect", "deployment", "ls"], {"PREFECT_API_URL": "http://prefect:4200/api"}
    )
    refused = subprocess.run(unsigned, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "401" in refused.stdout + refused.stderr
    assert str(REPOSITORY) not in stack.log("prefect")
