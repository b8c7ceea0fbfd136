"""Ask the server of `skinml up` with plain requests: loading Prefect's client takes two seconds."""

from __future__ import annotations

from typing import Any

import httpx
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_fixed

from skinml.errors import RunError

PAGE = 200

_while_locked = Retrying(
    retry=retry_if_result(lambda answer: answer.status_code == httpx.codes.SERVICE_UNAVAILABLE),
    stop=stop_after_attempt(10),
    wait=wait_fixed(1.0),
    retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
)
"""Prefect's server answers 503 while its SQLite database is locked by another request."""


class Api:
    """The API of one server.

    Args:
        url: its address, with /api.
        auth: user:password, if it asks for them.
    """

    def __init__(self, url: str, auth: str | None = None) -> None:
        user, _, password = (auth or "").partition(":")
        self._client = httpx.Client(
            base_url=url, auth=(user, password) if auth else None, timeout=30.0, trust_env=False
        )
        self.url = url

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._client.get("/health", timeout=2.0).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def get(self, path: str) -> Any:
        """GET; what it answers. Raises RunError, as all of these."""
        return self._request("GET", path)

    def post(self, path: str, **body: Any) -> Any:
        """POST; what it answers, None if nothing."""
        return self._request("POST", path, body)

    def all(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """All pages of a filter."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.post(path, **body, limit=PAGE, offset=len(found))
            found.extend(page)
            if len(page) < PAGE:
                return found

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            answer = _while_locked(self._client.request, method, path, json=body)
        except httpx.HTTPError as error:
            raise RunError(f"the Prefect server {self.url} does not answer: {error}") from error
        if answer.is_error:
            said = " ".join(answer.text.split())[:200]
            raise RunError(f"the Prefect server answers {answer.status_code} at {answer.url.path}: {said}")
        return answer.json() if answer.content else None
