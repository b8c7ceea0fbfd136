"""A stage of a flow: a Prefect task within a flow run, the same function plainly where there is no server."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.tasks import Task

from skinml.errors import StorageError
from skinml.memory import release_memory

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

RETRY_DELAYS = (2.0, 10.0, 30.0)
"""Seconds before the second, third and fourth try of a stage that storage failed."""


def stage(
    name: str, run_name: str | Callable[[dict[str, Any]], str] | None = None, tags: tuple[str, ...] = ()
) -> Callable[[Callable[Arguments, Answer]], Callable[Arguments, Answer]]:
    """Make a function a stage: retried where storage failed, never where the request or the run is wrong.

    Args:
        name: what Prefect calls the task.
        run_name: what it calls one run of it; names of parameters in braces are filled in, or a function
            of the parameters.
        tags: for filtering in the UI, and for concurrency limits.
    """

    def decorate(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        @functools.wraps(function)
        def tidy(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            try:
                return function(*args, **kwargs)
            finally:
                release_memory()

        prefect_task: Task[..., Any] = task(
            name=name,
            task_run_name=cast(Any, run_name or name),
            tags=list(tags),
            retries=len(RETRY_DELAYS),
            retry_delay_seconds=list(RETRY_DELAYS),
            retry_condition_fn=_storage_failed,
            cache_policy=NO_CACHE,  # whether work is done already is for the tables to say
        )(tidy)

        @functools.wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            if FlowRunContext.get() is not None:
                return cast(Answer, prefect_task(*args, **kwargs))
            for delay in RETRY_DELAYS:
                try:
                    return tidy(*args, **kwargs)
                except StorageError:
                    time.sleep(delay)
            return tidy(*args, **kwargs)

        return run

    return decorate


def _storage_failed(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task run is worth another try."""
    try:
        state.result()
    except StorageError:
        return True
    except BaseException:
        return False
    return False
