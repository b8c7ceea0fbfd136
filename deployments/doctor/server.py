"""Find the Prefect server that verbs would use, and ask it whether it is one that works with this Prefect."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

from deployments.up.api import Api
from deployments.up.reconcile import TAG
from flows.local_server import running_server
from skinml.checkup.checks import Finding, failed, ok, warning
from skinml.errors import SkinmlError
from skinml.storage.redaction import redacted

VARIABLE = "PREFECT_API_URL"

NO_SERVER = "no Prefect server: verbs run without one, but nothing is scheduled and nothing shows in a UI"


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        api: asks it.
        url: its address without secrets.
        where: where the address is from.
    """

    api: Api
    url: str
    where: str

    @cached_property
    def deployments(self) -> list[dict[str, Any]]:
        """The deployments that are ours."""
        return self.api.all("/deployments/filter", deployments={"tags": {"all_": [TAG]}})


def find_server() -> tuple[Server | None, Finding]:
    """The server and what is to be said of it; None if there is none that can be used."""
    try:
        url, auth, where = _address()
    except Exception as error:  # Prefect itself does not load: a version, a broken profile
        said = redacted(f"{type(error).__name__}: {error}")[:200]
        return None, failed(f"Prefect does not load: {said}", "reinstall skinml with constraints.txt")
    if not url:
        return None, warning(NO_SERVER, "skinml up starts one here; or set PREFECT_API_URL")
    server = Server(Api(url, auth), redacted(url), where)
    finding = _examine(server)
    if finding.state == "failed":
        server.api.close()
        return None, finding
    return server, finding


def _examine(server: Server) -> Finding:
    """Whether it answers, is a Prefect server of this version, and is healthy."""
    try:
        theirs = str(server.api.get("/admin/version"))
        healthy = server.api.get("/health")
    except (SkinmlError, ValueError) as error:
        return failed(
            f"{server.url} ({server.where}): {redacted(str(error))[:300]}",
            "start it (skinml up), correct the address, or set PREFECT_API_AUTH_STRING if it answers 401",
        )
    ours = version("prefect")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        return failed(
            f"{server.url} ({server.where}): is Prefect {theirs}, here is {ours}",
            f"pip install prefect=={theirs}",
        )
    if healthy is not True:
        return warning(f"{server.url}: says it is not healthy", "see the log of the server")
    return ok(f"{server.url} ({server.where}), Prefect {theirs}")


def _address() -> tuple[str, str | None, str]:
    """Address, credentials and where they are from. A profile of Prefect counts as its variables do."""
    running = running_server()
    if running is not None:
        state, auth = running
        return state.url, auth, "skinml up"
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

    auth_string = PREFECT_API_AUTH_STRING.value()
    auth = auth_string.get_secret_value() if auth_string else None
    if VARIABLE in os.environ:  # an empty one means none at all
        return os.environ[VARIABLE], auth, VARIABLE
    return PREFECT_API_URL.value() or "", auth, "Prefect's profile"
