"""Start a Prefect server on this machine, on loopback, and stop it when it is no longer needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from skinml.errors import RunError

USUAL_PORT = 4200
START_SECONDS = 120.0
"""Measured: 13 s, 25 s the first time, when the database is made."""


@dataclass(frozen=True)
class Server:
    """A server's process, and where its API answers once it is ready."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def ui(self) -> str:
        """Where a browser sees it."""
        return self.url.removesuffix("/api")

    def wait_until_ready(self) -> None:
        """Block until the API answers. Raises RunError, with the place of the log, where it does not."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health", timeout=2.0).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.25)  # polling another process, which has no other way to say that it is ready
        raise RunError(f"the Prefect server on {self.url} did not start; see {self.log}")


@contextmanager
def prefect_server(home: Path, port: int | None = None) -> Iterator[Server]:
    """Start a server whose database and log lie in `home`; stop it at the end. It may not be ready yet.

    Args:
        home: its PREFECT_HOME.
        port: on 127.0.0.1; None for Prefect's usual one, or any other where that one is taken.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = port or free_port(USUAL_PORT)
    log = home / "server.log"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=server_environment(home, port))  # noqa: S603
    try:
        yield Server(process, f"http://127.0.0.1:{port}/api", log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def server_environment(home: Path, port: int) -> dict[str, str]:
    """The environment of a server of its own: its home and port, nothing of a server configured here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {
        **kept,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # --port alone leaves the UI asking port 4200: "Can't connect to Server API".
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "flows.server.changes",
    }


def free_port(usual: int = 0) -> int:
    """The usual port, or any other where that one is taken."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RunError("no free port on 127.0.0.1 for the Prefect server")
