"""Check whether the server at PREFECT_API_URL is a Prefect server that this Prefect can use."""

from __future__ import annotations

import contextvars
import ipaddress
import re
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from skinml.storage.redaction import redacted

if TYPE_CHECKING:
    import httpx

MAX_SECONDS = 10.0
"""Timeout for the server's answer, including the name lookup. Measured: 0.05 s on an idle machine, 4 s on an
overloaded one."""

NEEDS_KEYS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)


def is_on_this_machine() -> bool:
    """Whether the server listens on loopback, where only people of this machine see its UI.

    The name is not looked up: any but localhost counts as another machine. No address: Prefect starts a server
    of its own for the run, on loopback.
    """
    from prefect.settings import PREFECT_API_URL

    host = urlsplit(PREFECT_API_URL.value() or "//localhost").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def why_unusable() -> str | None:
    """Return why the server at PREFECT_API_URL cannot be used, as the end of a sentence; None if it can.

    Prefect's own client asks, because it has the user's keys and certificates and knows which versions are
    compatible. It runs in a thread, because a name lookup or a slow server may take far longer than we wait.
    """
    found: list[str | None] = []
    context = contextvars.copy_context()
    asking = threading.Thread(target=lambda: found.append(context.run(_ask)), daemon=True)
    asking.start()
    asking.join(MAX_SECONDS)
    return found[0] if found else f"does not answer (no answer within {MAX_SECONDS:g} s)"


def _ask() -> str | None:
    """Ask for health and version, each once."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    answers: list[httpx.Response] = []
    settings = {"timeout": MAX_SECONDS, "event_hooks": {"response": [answers.append]}}
    try:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(httpx_settings=settings, sync_client=True) as client,
        ):
            sick = client.api_healthcheck()
            if sick is not None:
                raise sick
            client.raise_for_api_version_mismatch()
    except Exception as error:
        return _described(error, answers)
    return None


def _described(error: Exception, answers: list[httpx.Response]) -> str:
    """Describe what is wrong with the answer, or that there was none."""
    import httpx

    chain = _causes(error)
    if any(isinstance(cause, httpx.UnsupportedProtocol | httpx.InvalidURL) for cause in chain):
        return f"is not the address of a server ({first_cause(error)})"
    if any(isinstance(cause, httpx.TransportError) for cause in chain) or not answers:
        return f"does not answer ({first_cause(error)})"
    if isinstance(error, RuntimeError) and len(chain) == 1:  # Prefect's words for another major version
        return f"cannot be used: {' '.join(str(error).split())}"
    answer = answers[-1]
    said = f"{answer.status_code} {answer.reason_phrase}".strip()
    if answer.status_code in NEEDS_KEYS:
        return f"requires authorisation ({said}): set PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
    kind = answer.headers.get("content-type", "no content type").split(";")[0]
    where = f" from {redacted(str(answer.url))}" if answer.history else ""
    return f"is not a Prefect server (it answers {said}, {kind}{where})"


def server_address() -> str:
    """Return PREFECT_API_URL without the secrets that it may contain."""
    from prefect.settings import PREFECT_API_URL

    return redacted(re.sub(r"//[^/]*@", "//", PREFECT_API_URL.value() or ""))


def first_cause(error: BaseException) -> str:
    """Return the first error of a chain in one line; it says more than Prefect's errors around it."""
    first = _causes(error)[-1]
    said = redacted(" ".join(str(first).split()))
    return f"{type(first).__name__}: {said}"[:200] if said else type(first).__name__


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and its causes, the first cause last."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    return chain
