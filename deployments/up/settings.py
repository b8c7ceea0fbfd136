"""The environments of the server and the workers: what self-hosting needs that is not Prefect's default."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from deployments.up.processes import mark
from deployments.up.state import Home
from skinml.requests.up import AUTH_VARIABLE, is_loopback

DAY_SECONDS = 86_400
EVENT_DAYS = 7
RUN_DAYS = 90
HEARTBEAT_SECONDS = 60

LEFT_OUT = (
    *("PREFECT_API_", "PREFECT_HOME", "PREFECT_PROFILE", "PREFECT_CLOUD_", "PREFECT__", AUTH_VARIABLE),
    *(
        "PREFECT_SERVER_API_",
        "PREFECT_SERVER_DATABASE_",
        "PREFECT_UI_",
        "PREFECT_SERVER_UI_",
        "SKINML_UP_DATABASE",
    ),
)
"""Beginnings of variables that `up` sets itself: others would name another server or database, or secrets."""

DEFAULTS = {
    # Prefect keeps events and runs in its database. Runs have no end of their own without the second setting.
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{EVENT_DAYS}D",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(RUN_DAYS * DAY_SECONDS),
    # Without heartbeats nobody sees that a run is dead.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
    # Nothing of ours takes a slot. If somebody adds a limit, its leases outlive a crash of the server.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # Otherwise much is told 15 minutes late, and some of it never, because SQLite was locked.
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "flows.server.changes",
}
"""What the user's own environment may change."""

QUIET = {
    "DO_NOT_TRACK": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_LOGGING_COLORS": "false",
    "PREFECT_CLI_COLORS": "false",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The API for processes of this machine."""
        return f"{self._http('127.0.0.1' if self.host in ANY else self.host)}/api"

    @property
    def ui_url(self) -> str:
        """What a browser opens, on another machine too if it may."""
        return self._http(socket.gethostname() if self.host in ANY else self.host)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def _http(self, host: str) -> str:
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


ANY = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def common(home: Home, environment: Mapping[str, str]) -> dict[str, str]:
    """What all children share: the user's environment, Prefect's home, and the mark of this home."""
    kept = {name: value for name, value in environment.items() if not name.startswith(LEFT_OUT)}
    return {
        **DEFAULTS,
        **kept,
        **QUIET,
        "PREFECT_HOME": str(home.prefect),
        **mark(home.folder, os.getpid()),
    }


def server_environment(
    base: Mapping[str, str], address: Address, auth: str | None, database: str | None
) -> dict[str, str]:
    """The server's environment; secrets are in it, since an argument would be seen by every user."""
    own = {
        "PREFECT_SERVER_API_HOST": address.host,
        "PREFECT_SERVER_API_PORT": str(address.port),
        # The port alone leaves the UI asking port 4200.
        "PREFECT_SERVER_UI_API_URL": f"{address.ui_url}/api",
        # By default any website in a browser of this machine may call the API, which starts programs.
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"{address.ui_url},http://localhost:{address.port}",
    }
    if auth is not None:
        own["PREFECT_SERVER_API_AUTH_STRING"] = auth
    if database is not None:
        own["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
    return {**base, **own}


def client_environment(base: Mapping[str, str], url: str, auth: str | None) -> dict[str, str]:
    """The environment of whoever talks to the server: workers, their runs, and the deployment."""
    own = {"PREFECT_API_URL": url}
    if auth is not None:
        own["PREFECT_API_AUTH_STRING"] = auth
    return {**base, **own}
