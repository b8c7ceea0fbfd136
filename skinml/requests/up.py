"""The request of `up`."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from skinml.errors import RequestError
from skinml.requests.base import SHARED, Texts
from skinml.requests.notifying import NotifyRequest
from skinml.requests.retraining import DueRequest

AUTH_VARIABLE = "SKINML_UP_AUTH"
"""May hold true, false, or the credentials themselves: user:password."""

BOOLEANS = ("true", "false", "yes", "no", "on", "off", "1", "0", "")


def _credentials_mean_yes(value: Any) -> Any:
    """`user:password` in the environment asks for authentication; anywhere else it is refused, unnamed."""
    if not isinstance(value, str) or value.lower() in BOOLEANS:
        return value
    if ":" not in value:  # a password alone, perhaps: pydantic's own message would show it
        raise RequestError(f"up: --auth is yes or no, and {AUTH_VARIABLE} true, false or user:password")
    if value != os.environ.get(AUTH_VARIABLE):
        raise RequestError(f"up: credentials are read from the environment alone: set {AUTH_VARIABLE}")
    return True


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class UpRequest(DueRequest, NotifyRequest):
    """Run server, schedules and workers on this machine until Ctrl-C."""

    archive: Annotated[str | None, SHARED] = Field(
        None, description="images to score every night: a folder or s3://bucket/prefix (default: no nights)"
    )
    images: Annotated[Texts, SHARED] = Field(
        (), description="labelled images for the deployment `prepare`; may be repeated"
    )
    metadata: Annotated[Texts, SHARED] = Field((), description="their metadata; may be repeated")
    nightly: str | None = Field(
        None, description="cron of the nightly scoring (default: 0 2 * * *, or that of --deployments)"
    )
    timezone: str | None = Field(
        None, description="time zone of all schedules (default: this machine's, or those of --deployments)"
    )
    host: str = Field("127.0.0.1", description="address to listen on; any other one needs --auth")
    port: int = Field(4200, ge=0, le=65535, description="port of API and UI; 0 takes a free one")
    home: str | None = Field(
        None, description="folder for database, logs and state (default: SKINML_HOME or ~/.skinml)"
    )
    auth: Annotated[bool, BeforeValidator(_credentials_mean_yes)] = Field(
        False, description="API and UI ask for credentials, which are made and kept in the home folder"
    )
    database: str | None = Field(
        None, description="postgresql+asyncpg://user@host/name (default: SQLite in the home folder)"
    )
    deployments: str | None = Field(
        None, description="a changed copy of the shipped prefect.yaml (default: the shipped one)"
    )
    gpu_worker: bool = Field(
        False, description="a worker for the work pool gpu too (default: if a GPU is seen)"
    )
