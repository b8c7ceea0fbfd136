"""Call a function as a Prefect run, and keep its result if Prefect fails around it.

This module and those that import it load no Prefect: a run that has no server must not wait for it. A function
that is called in a Prefect run imports what it needs of Prefect itself.
"""

from __future__ import annotations

import copy
import functools
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast
from uuid import UUID

from skinml.process.interrupts import Interrupted
from tasks.server_check import first_cause, server_address, why_unusable

if TYPE_CHECKING:
    from prefect import Flow, State
    from prefect.context import FlowRunContext
    from prefect.tasks import Task

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

logger = logging.getLogger("skinml.engine")

DRAIN_SECONDS = 5.0
"""How long the last server of this process may take to get what it has not been told yet."""

_without_prefect: set[UUID] = set()
"""Flow runs for which Prefect has failed; the rest of each runs without Prefect."""

_last_address: list[str] = []
"""Where the server of this process's last run was."""

_changed = ExitStack()
"""Undoes the changes that `go_on_without` has made to Prefect in this process."""


@dataclass(frozen=True)
class Ends:
    """Makes the Prefect states in which a flow run ends.

    Attributes:
        completed: of the flow's result. The state may be of type FAILED, if the result is trouble.
        failed: of the error that ended the flow.
    """

    completed: Callable[[Any], State[Any]]
    failed: Callable[[Exception], State[Any]]


def flow_run_context() -> FlowRunContext | None:
    """The Prefect flow run that this code runs in; None if there is none."""
    if "prefect.context" not in sys.modules:  # so nothing runs in Prefect
        return None
    from prefect.context import FlowRunContext

    return FlowRunContext.get()


def under_prefect() -> bool:
    """Whether this code runs in a Prefect run for which Prefect has not failed."""
    context = flow_run_context()
    if context is None or context.flow_run is None:
        return context is not None or _in_a_task()
    return context.flow_run.id not in _without_prefect


def _in_a_task() -> bool:
    if "prefect.context" not in sys.modules:
        return False
    from prefect.context import TaskRunContext

    return TaskRunContext.get() is not None


def call_as_run(
    kind: Flow[..., Any] | Task[..., Any],
    function: Callable[Arguments, Answer],
    plainly: Callable[Arguments, Answer],
    ends: Ends | None,
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Answer:
    """Call `function` as a run of a Prefect flow or task, and return its result or raise its error.

    Prefect talks to its server before and after the function. If that fails before the function was called,
    `plainly` is called instead. If it fails afterwards, the function's result or error is kept. So nothing is
    done twice.

    Args:
        kind: the Prefect flow or task that records the call.
        function: called in the run.
        plainly: called instead if Prefect fails before it has called `function`.
        ends: what Prefect is told of the result or error; None: the result or error itself.
        args: arguments of both.
        kwargs: arguments of both.
    """
    from prefect.exceptions import PrefectSignal
    from prefect.states import get_state_exception

    from tasks.prefect_types import NotReported

    outcome: _Outcome[Answer] = _Outcome()
    run = copy.copy(kind)
    run.fn = _remembered(function, outcome, ends)
    try:
        with _prefect_errors_in_one_line(outcome):
            # As a state: one of type FAILED would be raised as an error, although the flow has a result.
            state = cast(Any, run(*args, **kwargs, **({} if ends is None else {"return_state": True})))
            if ends is not None and not outcome.ended:  # Prefect has failed before it called the function
                raise cast(BaseException, get_state_exception(state))
    except BaseException as error:
        if isinstance(error, Interrupted):  # Prefect has handed its SIGTERM on to us, once the run was over
            raise
        if outcome.error is not None:
            # Also if Prefect has raised an error of its own on top, such as a lost connection.
            raise outcome.error  # noqa: B904
        if not isinstance(error, NotReported):
            if not isinstance(error, Exception | PrefectSignal):
                raise  # a signal
            if isinstance(error, PrefectSignal) and not outcome.finished:
                raise  # somebody has paused or cancelled the run in the UI
            go_on_without(error)
        return cast(Answer, outcome.result) if outcome.finished else plainly(*args, **kwargs)
    if outcome.error is not None:
        raise outcome.error
    return cast(Answer, outcome.result)


def go_on_without(error: BaseException) -> None:
    """Run the rest of this flow run without Prefect, and log why, once per run."""
    from prefect.events.clients import NullEventsClient
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import set_api_log_sink

    context = flow_run_context()
    if context is not None and context.flow_run is not None:
        if context.flow_run.id in _without_prefect:
            return
        _without_prefect.add(context.flow_run.id)
    address = server_address()
    logger.warning("the Prefect server %s failed (%s): continuing without it", address, first_cause(error))
    # Otherwise unsent messages would be retried for up to a minute at the end of the process.
    set_api_log_sink(lambda _: None)
    _changed.callback(set_api_log_sink, None)
    EventsWorker.set_client_override(NullEventsClient)
    _changed.callback(EventsWorker.set_client_override, None)
    for name in ("prefect", "prefect._internal"):
        changed = logging.getLogger(name)
        _changed.callback(changed.setLevel, changed.level)
        changed.setLevel(logging.CRITICAL)


def begin_with_prefect() -> None:
    """Enable Prefect again, if an earlier run of this process went on without it or had another server."""
    from prefect.concurrency.services import ConcurrencySlotAcquisitionWithLeaseService

    _changed.close()
    address = server_address()
    if _last_address not in ([], [address]):
        # Prefect keeps one client per process for slots, logs and events: they would go on with the old server.
        ConcurrencySlotAcquisitionWithLeaseService.drain_all(timeout=DRAIN_SECONDS, at_exit=False)
    _last_address[:] = [address]


@dataclass
class _Outcome(Generic[Answer]):
    """The result or error of a function's last call."""

    running: bool = False
    finished: bool = False
    result: Answer | None = None
    error: BaseException | None = None

    @property
    def ended(self) -> bool:
        """Whether the function has returned or raised."""
        return self.finished or self.error is not None


def _remembered(
    function: Callable[Arguments, Answer], outcome: _Outcome[Answer], ends: Ends | None
) -> Callable[Arguments, Any]:
    """Wrap the function so that its outcome is kept, and Prefect is told what `ends` makes of it."""

    @functools.wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Any:
        outcome.running, outcome.error = True, None
        try:
            outcome.result = function(*args, **kwargs)
            outcome.finished = True
        except BaseException as error:
            outcome.error = error
            _leave_a_lost_server(error)
            if ends is None or not isinstance(error, Exception):
                raise
            return ends.failed(error)
        finally:
            outcome.running = False
        _leave_a_lost_server(None)
        return outcome.result if ends is None else ends.completed(outcome.result)

    return call


def _leave_a_lost_server(error: BaseException | None) -> None:
    """Do not report the end of a run to a server that has failed and is not back."""
    if under_prefect():
        return
    in_a_hurry = _in_a_task() or not isinstance(error, Exception | None)
    if in_a_hurry or why_unusable() is not None:
        from tasks.prefect_types import NotReported

        raise NotReported("the Prefect server is gone")


@contextmanager
def _prefect_errors_in_one_line(outcome: _Outcome[Any]) -> Iterator[None]:
    """Hide what Prefect logs as errors before and after the function.

    These are up to 80 lines about its server; `go_on_without` logs one line instead. Errors in the function
    stay.
    """

    def about_the_function(record: logging.LogRecord) -> bool:
        foreign = record.levelno < logging.ERROR or not record.name.startswith("prefect")
        return foreign or outcome.running or outcome.error is not None

    handlers = [*logging.getLogger().handlers, *logging.getLogger("prefect._internal").handlers]
    for handler in handlers:
        handler.addFilter(about_the_function)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(about_the_function)
