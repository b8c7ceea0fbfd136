"""Run a flow on the Prefect server if a usable one answers, otherwise without. Prefect never stops a run."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flows.local_server import running_server
from flows.server_settings import may_name_a_server
from skinml.process.interrupts import deferred
from tasks.ending import ends_of, function_of
from tasks.orchestration import begin_with_prefect, call_as_run
from tasks.run_process import label_run
from tasks.server_check import server_address, why_unusable

if TYPE_CHECKING:
    from prefect import Flow

logger = logging.getLogger("skinml.engine")

MAX_RETRIES = 1
"""How often Prefect's client repeats a request that got no answer. Its default of 5 takes 62 s."""

REQUEST_SECONDS = 10.0
"""How long Prefect's client waits for one answer. Its default is 60 s, six times over with its retries."""


def run(flow: Flow[..., dict[str, Any]], **parameters: Any) -> dict[str, Any]:
    """Call the flow, as a Prefect flow run if a server is configured and usable; say which it is.

    Prefect is loaded if there may be a server; that takes two seconds of CPU time.

    If the server fails on the way, the run goes on without it from where it is: tasks/orchestration.py.
    """
    if not _names_a_server():
        found = running_server()
        if found is None:
            logger.info("no Prefect server configured (PREFECT_API_URL): running without one")
            return function_of(flow)(**parameters)
        state, secret = found
        _load_prefect()
        from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

        logger.info("on the server of skinml up (PID %d): %s", state.pid, state.ui_url)
        with temporary_settings({PREFECT_API_URL: state.url, PREFECT_API_AUTH_STRING: secret}):
            return _run_on_server(flow, **parameters)
    return _run_on_server(flow, **parameters)


def _names_a_server() -> bool:
    """Whether Prefect's settings name a server. Prefect itself says so, if it is loaded or might say yes."""
    if "prefect.settings" not in sys.modules and not may_name_a_server():
        return False
    _load_prefect()
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def _load_prefect() -> None:
    with deferred():  # the import swallows exceptions, so a signal waits
        import prefect.main  # noqa: F401


def _run_on_server(flow: Flow[..., dict[str, Any]], **parameters: Any) -> dict[str, Any]:
    from prefect import tags
    from prefect.settings import temporary_settings

    function = function_of(flow)
    trouble = why_unusable()
    if trouble is not None:
        logger.warning("running without Prefect: %s %s", server_address(), trouble)
        return function(**parameters)
    begin_with_prefect()
    logging.raiseExceptions = False  # Prefect's log thread would print what is logged in one line already
    with tags("skinml"), temporary_settings(_short_timeouts()):
        # The command line has validated the request. Prefect cannot, because call_as_run wraps the function.
        unchecked = flow.with_options(validate_parameters=False)
        return call_as_run(unchecked, _with_process(function), function, ends_of(flow), **parameters)


def _with_process(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Label the run with its process: the next `skinml up` then knows whether an unfinished run is dead.

    Its tags stay with the flow run: a task run with tags waits for the server (tasks/stage.py).
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
        from prefect.context import TagsContext

        label_run()
        with TagsContext(current_tags=set()):
            return function(*args, **kwargs)

    return call


def _short_timeouts() -> dict[Any, Any]:
    """Settings of Prefect's client for a dead server not to delay a run for long. The user's own stand."""
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, get_current_settings

    settings = get_current_settings()
    chosen: dict[Any, Any] = {}
    if "max_retries" not in settings.client.model_fields_set:
        chosen[PREFECT_CLIENT_MAX_RETRIES] = MAX_RETRIES
    if "request_timeout" not in settings.api.model_fields_set:
        chosen[PREFECT_API_REQUEST_TIMEOUT] = REQUEST_SECONDS
    return chosen
