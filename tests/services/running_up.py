"""`skinml up` in a process of its own, as a person starts it: its home, its log, its server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from deployments.up.processes import below
from deployments.up.state import read_state
from tests.services.processes import wait_for

START_SECONDS = 180.0
"""Measured: 25 s on an idle machine, with the deployments."""

STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Up:
    """A `skinml up` that has said that it runs."""

    process: subprocess.Popen[bytes]
    home: Path
    log: Path
    auth: tuple[str, str] | None

    @property
    def url(self) -> str:
        """Its API."""
        state = read_state(self.home)
        assert state is not None
        return state.url

    @property
    def ui(self) -> str:
        """What a browser opens."""
        return self.url.removesuffix("/api")

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text(encoding="utf-8")

    def children(self) -> list[psutil.Process]:
        """Server, workers and runs."""
        return below(self.home, self.process.pid)

    def post(self, path: str, **body: Any) -> Any:
        """Ask its server."""
        answer = httpx.post(f"{self.url}{path}", json=body, auth=self.auth, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def runs_of(self, deployment: str, **only: Any) -> list[dict[str, Any]]:
        """The runs of a deployment, the first scheduled one first."""
        named = {"name": {"any_": [deployment]}}
        found: list[dict[str, Any]] = self.post(
            "/flow_runs/filter", deployments=named, sort="EXPECTED_START_TIME_ASC", **only
        )
        return found

    def lose_power(self) -> None:
        """SIGKILL for it and everything below it, also the process that watches it."""
        own = psutil.Process(self.process.pid)
        kill_all([own, *own.children(recursive=True), *self.children()])
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, and wait for its end: its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=STOP_SECONDS)


def command(*flags: object, program: str = sys.executable) -> list[str]:
    """`skinml --json up ...`."""
    return [program, "-P", "-m", "skinml", "--json", "up", *map(str, flags)]


@contextmanager
def running(
    home: Path, workspace: Path, *flags: object, environment: Mapping[str, str] | None = None
) -> Iterator[Up]:
    """Start it on a free port and wait until it runs; kill what is left of it at the end."""
    log = home.with_suffix(".log")
    variables = {
        **os.environ,
        "SKINML_WORKSPACE": str(workspace),
        "PREFECT_WORKER_QUERY_SECONDS": "1",  # a worker asks for work every 10 s otherwise
        **(environment or {}),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command("--home", home, "--port", 0, *flags), env=variables, stdout=output, stderr=output
        )

    def runs() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        return "running; Ctrl-C" in log.read_text(encoding="utf-8")

    try:
        wait_for(runs, START_SECONDS, "skinml up")
        secret = home / "auth"
        user, _, password = secret.read_text().strip().partition(":") if secret.exists() else ("", "", "")
        yield Up(process, home, log, (user, password) if user else None)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        kill_all(below(home))


def kill_all(processes: list[psutil.Process]) -> None:
    """SIGKILL, at once."""
    for one in processes:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=30)


def refused(home: Path, workspace: Path, *flags: object, **environment: str) -> tuple[int, str]:
    """Start one that does not run: its exit code and its one line."""
    done = subprocess.run(
        command("--home", home, *flags),
        env={**os.environ, "SKINML_WORKSPACE": str(workspace), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, str(answer.get("error", done.stderr))
