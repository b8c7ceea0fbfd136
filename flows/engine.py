"""Run a flow: on the Prefect server where one answers, plainly where none does. A dead one stops no night."""

from __future__ import annotations

import logging
from typing import Any, cast

import httpx
from prefect import Flow, tags
from prefect.settings import PREFECT_API_URL

from skinml.errors import SkinmlError

logger = logging.getLogger("skinml.engine")

PATIENCE = 5.0
"""Seconds that the server has for saying that it is well."""


def run(flow: Flow[..., dict[str, Any]], **parameters: Any) -> dict[str, Any]:
    """Call the flow, as a Prefect flow run if a server is configured and answers; say which it is.

    A server that dies on the way costs its run, not the night: the flow is called again without it, and what
    was committed by then is known and skipped.
    """
    url = PREFECT_API_URL.value()
    if not url:
        logger.info("no Prefect server configured (PREFECT_API_URL): running without one")
        return flow.fn(**parameters)
    if not _answers(url):
        logger.warning("the Prefect server %s does not answer: running without it", url)
        return flow.fn(**parameters)
    try:
        with tags("skinml"):
            return cast(dict[str, Any], flow(**parameters))
    except Exception as error:
        trouble = _trouble_with_server(error)
        if trouble is None:
            raise
        logger.warning("the Prefect server %s stopped answering (%s): going on without it", url, trouble)
        return flow.fn(**parameters)


def _trouble_with_server(error: BaseException | None) -> httpx.HTTPError | None:
    """What went wrong between Prefect's client, which alone speaks HTTP here, and its server; None if nothing.

    Prefect may say it in other words: a task that got no concurrency slot fails with an error of its own, of
    which the lost connection is only the cause.
    """
    while error is not None and not isinstance(error, SkinmlError):
        if isinstance(error, httpx.HTTPError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url.rstrip('/')}/health", timeout=PATIENCE).status_code < 500
    except httpx.HTTPError:
        return False
