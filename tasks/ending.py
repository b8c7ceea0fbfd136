"""End a flow run in a named state, put counts into its name, and keep the text of errors in its log."""

from __future__ import annotations

import functools
import inspect
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast, get_type_hints
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from skinml.errors import RequestError, SkinmlError
from skinml.storage.redaction import redacted
from tasks.orchestration import Ends, flow_run_context, go_on_without, under_prefect
from tasks.states import Ending, of_error

if TYPE_CHECKING:
    from prefect import Flow, State
    from prefect.client.orchestration import SyncPrefectClient

logger = logging.getLogger("skinml.flow")

Result = dict[str, Any]
FlowFunction = Callable[..., Result]

_ends: dict[Callable[..., Any], Ends] = {}
"""The ends of each flow function that `ends_as` has made."""


def ends_as(describe: Callable[[Mapping[str, Any]], Ending]) -> Callable[[FlowFunction], FlowFunction]:
    """Make a flow function whose Prefect run ends in the state that `describe` makes of its result.

    Called plainly, or inside of another flow, it is the function itself: it returns its result and raises its
    errors. Prefect calls it itself only if a worker runs the flow; flows/engine.py calls `function_of` it.

    Parameters are checked here and not by Prefect, whose message would repeat their values in the state.
    """

    def decorate(function: FlowFunction) -> FlowFunction:
        ends = Ends(lambda result: _completed(describe(result), result), _failed)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            context = flow_run_context()
            if context is None or getattr(context.flow, "fn", None) is not run:
                return function(*args, **kwargs)
            try:
                result = function(**_checked(function, *args, **kwargs))
            except Exception as error:
                return ends.failed(error)
            return ends.completed(result)

        _ends[run] = ends
        return run

    return decorate


def ends_of(flow: Flow[..., Any]) -> Ends | None:
    """What makes the states of a flow's runs; None if Prefect's own are enough."""
    return _ends.get(flow.fn)


def function_of(flow: Flow[..., Result]) -> FlowFunction:
    """What the flow does, without what Prefect is told of it."""
    return cast(FlowFunction, inspect.unwrap(flow.fn))


def logged_error(client: SyncPrefectClient, flow_run_id: UUID) -> str:
    """Return what a failed run elsewhere has said of its error in its log; "" if it has said nothing (yet).

    A run sends its last lines when its process ends, a moment after its state.
    """
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId, LogFilterLevel

    query = LogFilter(
        level=LogFilterLevel(ge_=logging.ERROR), flow_run_id=LogFilterFlowRunId(any_=[flow_run_id])
    )
    said = [line.message for line in client.read_logs(query) if line.name == logger.name]
    return " ".join(said[-1].split()) if said else ""


def _checked(function: FlowFunction, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The arguments as their types ask for: a deployment gives a request as a dictionary."""
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    hints = get_type_hints(function)
    checked = {}
    for name, value in given.items():
        try:
            checked[name] = TypeAdapter(hints[name]).validate_python(value)
        except ValidationError as error:
            faults = [
                f"{'.'.join(map(str, (name, *fault['loc'])))} = {fault['input']!r}: {fault['msg']}"
                for fault in error.errors(include_url=False)
            ]
            raise RequestError("; ".join(faults)) from error
    return checked


def _completed(ending: Ending, result: Result) -> State[Any]:
    from prefect.states import Completed, Failed

    from tasks.prefect_types import Trouble

    _rename(ending)
    if not ending.trouble:
        return Completed(name=ending.name, message=ending.message, data=result)
    state = cast(Trouble, Failed(cls=Trouble, name=ending.name, message=ending.message))
    state._kept = result
    return state


def _failed(error: Exception) -> State[Any]:
    """The state of a failed run; what the error says goes to the log alone."""
    from prefect.states import Failed

    ending = of_error(error)
    _rename(ending)
    ours = isinstance(error, SkinmlError)
    said = str(error) if ours else "".join(traceback.format_exception(error))
    logger.error("%s", redacted(said.rstrip()))
    return Failed(name=ending.name, message=ending.message, data=error)


def _rename(ending: Ending) -> None:
    """Put the counts behind the run's name, which was given before they were known."""
    context = flow_run_context()
    if not ending.counts or context is None or context.flow_run is None or not under_prefect():
        return
    import httpx
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            name = f"{context.flow_run.name}: {ending.counts}"
            _while_locked(httpx.HTTPStatusError)(client.set_flow_run_name, context.flow_run.id, name)
    except httpx.HTTPStatusError as error:  # a name is no reason to go on without a server that answers
        logger.debug("the run keeps its name: %s", error)
    except Exception as error:
        go_on_without(error)


def _while_locked(error: type[Exception]) -> Retrying:
    """Try again after this error: Prefect's server answers 503 while another request locks its database."""
    return Retrying(
        retry=retry_if_exception_type(error), stop=stop_after_attempt(4), wait=wait_fixed(1.0), reraise=True
    )
