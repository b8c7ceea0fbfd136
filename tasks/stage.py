"""A stage of a flow: a Prefect task in a flow run, a plain function with the same retries otherwise."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_chain,
    wait_fixed,
)

from skinml.errors import StorageError
from skinml.process.memory import release_memory
from tasks.orchestration import call_as_run, under_prefect

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

logger = logging.getLogger("skinml.stage")

RETRY_DELAYS = (2.0, 10.0, 30.0)
"""Seconds before the second, third and fourth attempt of a stage that failed because of storage."""


def stage(
    name: str,
    run_name: str | Callable[[dict[str, Any]], str] | None = None,
    retried: bool = True,
) -> Callable[[Callable[Arguments, Answer]], Callable[Arguments, Answer]]:
    """Make a function a stage. It is retried after storage errors, never after other errors.

    Its Prefect task is made when the stage is first called in a flow run: no other run loads Prefect.

    Its task has no tags. Prefect asks its server before each run of a task with tags whether a limit is full.
    While SQLite is locked the answer is 503, and Prefect waits 2 s: up to 5 s of a night, measured.

    Args:
        name: the name of the Prefect task.
        run_name: the name of a task run: a template with parameters in braces, or a function of the parameters.
        retried: False for a stage whose shards are retried one by one, so that it is not repeated as a whole.
    """

    def decorate(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        delays = list(RETRY_DELAYS) if retried else []

        @functools.wraps(function)
        def tidy(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            try:
                return function(*args, **kwargs)
            finally:
                release_memory()

        @functools.cache
        def prefect_task() -> Task[..., Any]:
            from prefect import task
            from prefect.cache_policies import NO_CACHE

            made: Task[..., Any] = task(
                name=name,
                task_run_name=cast(Any, run_name or name),
                retries=len(delays),
                retry_delay_seconds=delays,
                retry_condition_fn=_storage_failed,
                cache_policy=NO_CACHE,  # the tables, not Prefect, say which work is done
            )(tidy)
            return made

        @functools.wraps(function)
        def plainly(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            return _retrying(name, delays)(tidy, *args, **kwargs)

        @functools.wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            if under_prefect():
                return call_as_run(prefect_task(), tidy, plainly, None, *args, **kwargs)
            return plainly(*args, **kwargs)

        return run

    return decorate


def _retrying(name: str, delays: list[float]) -> Retrying:
    """Return the same retries as Prefect makes, each logged in one line."""

    def say(state: RetryCallState) -> None:
        failed = state.outcome.exception() if state.outcome is not None else None
        logger.warning(
            "stage '%s' failed: %s; attempt %d of %d in %g s",
            *(name, " ".join(str(failed).split()), state.attempt_number + 1, len(delays) + 1),
            state.upcoming_sleep,
        )

    return Retrying(
        retry=retry_if_exception_type(StorageError),
        stop=stop_after_attempt(len(delays) + 1),
        wait=wait_chain(*map(wait_fixed, delays)) if delays else wait_fixed(0),
        before_sleep=say,
        reraise=True,
    )


def _storage_failed(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether to retry a failed task run: only after a storage error."""
    try:
        state.result()
    except StorageError:
        return True
    except BaseException:
        return False
    return False
