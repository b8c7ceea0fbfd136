"""Run shards on a cluster's workers: keep all workers busy, and retry a failed shard alone."""

from __future__ import annotations

import functools
import logging
import pickle
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from skinml.compute.cores import is_local
from skinml.compute.versions import difference, versions_here
from skinml.errors import RunError, SkinmlError, StorageError
from skinml.process.memory import keep_freed_memory

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger("skinml.compute")

Shard = TypeVar("Shard")
Outcome = TypeVar("Outcome")

AHEAD = 3
"""Shards submitted per thread: one running and two waiting, so that no thread idles, and the scheduler holds
few shards even if there are thousands."""

LEAST_UNDER_WAY = 64
"""The smallest number of shards submitted to a cluster at an address. An adaptive cluster grows with the work
that
waits: with only 3 submitted, 40 shards of one second took 41 s on 0 to 8 workers."""

REFRESH_SECONDS = 1.0
"""How often the threads of a cluster at an address are counted, because workers join and leave."""

DESERTED_SECONDS = 600.0
"""How long shards wait if a cluster at an address has no workers any more."""

WAITS = (2.0, 10.0, 30.0)
"""Seconds before the second, third and fourth attempt of a shard that failed because of storage. Each is
shortened by up to half at random, so that shards that failed together are not retried together."""


class NotYet:
    """The kind of NOT_YET."""


NOT_YET = NotYet()
"""What an iterable of shards gives if the next shard depends on results that are still missing. It is asked
again after the next result."""


@dataclass
class _Task:
    """A shard that is not done yet: its number, the number of attempts, and when to retry it."""

    number: int
    shard: Any
    tries: int = 0
    due: float = field(default=0.0)


def map_shards(
    client: Client,
    function: Callable[[Shard], Outcome],
    shards: Iterable[Shard | NotYet],
    check: Callable[[], object] | None = None,
    total: int | None = None,
    killed: Callable[[Shard, str], Outcome] | None = None,
) -> Iterator[Outcome]:
    """Run a function on every shard, on all workers; yield the results as they come, in any order.

    Shards are taken from the iterable as workers become free, so it may be long and lazy. If a worker dies,
    another one repeats its shard. A shard that fails with a StorageError is retried alone after a growing wait,
    while the others continue. So `function` may be run twice on a shard and must then have the same effect.

    Args:
        client: the client of the cluster.
        function: the function to run on a shard.
        shards: the shards, or NOT_YET. A submitted shard stays in memory here until it is done.
        check: called once in every worker process before its first shard, also in one that joined late. If it
            raises, the run ends with one line that names the worker; after a StorageError the shard is retried.
        total: the number of shards, for the log.
        killed: the result of a shard that killed every worker that ran it, with the reason; None: the run ends.

    Raises:
        RunError: a shard killed every worker that ran it, `check` failed, there have been no workers for ten
            minutes, the scheduler ended, or a shard waits for results although none is running.
        StorageError: a shard failed with it four times.
        Exception: any exception of `function`, unchanged.
    """
    waiting, numbers = iter(shards), count(1)
    name = getattr(function, "__name__", "shard")
    preparation = _preparation(client, check)
    room = _Room(client)
    finished: SimpleQueue[Future] = SimpleQueue()
    running: dict[Future, _Task] = {}
    resting: list[_Task] = []

    def hand_out(task: _Task) -> None:
        task.tries += 1
        # Dask learns from a task's name how long it takes, so each function gets its own name.
        future = client.submit(
            _run, function, task.shard, preparation, pure=False, key=f"{name}-{uuid.uuid4().hex}"
        )
        running[future] = task
        future.add_done_callback(finished.put)

    exhausted = False

    def hand_out_more() -> None:
        nonlocal exhausted
        while not exhausted and len(running) + len(resting) < room.now():
            following = next(waiting, None)
            if isinstance(following, NotYet):
                if running or resting:
                    return
                raise RunError("the next shard waits for results, and no shard is running")
            exhausted = following is None
            if following is not None:
                hand_out(_Task(next(numbers), following))

    try:
        while True:
            _check_connected(client, running)
            now = time.monotonic()
            for task in [task for task in resting if task.due <= now]:
                resting.remove(task)
                hand_out(task)
            hand_out_more()
            if not (running or resting):
                return
            try:
                future = finished.get(timeout=_until_something_happens(client, resting))
            except Empty:
                continue
            task = running.pop(future)
            try:
                outcome = _outcome(client, future, len(running) + 1, task.shard, killed)
            except StorageError as error:
                _rest(task, total, error)
                resting.append(task)
            else:
                yield outcome
    finally:
        if running and client.status == "running":
            client.cancel(list(running), force=True)


def call(client: Client, *calls: Callable[[], Any]) -> list[Any]:
    """Run functions without arguments in parallel, each once, on any worker; return their results in order.

    Raises the same errors as `map_shards`.
    """
    answers = dict(map_shards(client, _numbered, enumerate(calls), total=len(calls)))
    return [answers[number] for number in range(len(calls))]


def _numbered(numbered: tuple[int, Callable[[], Any]]) -> tuple[int, Any]:
    number, function = numbered
    return number, function()


class _Room:
    """The number of shards to submit at once; updated regularly for a cluster at an address."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._least = AHEAD if is_local(client) else LEAST_UNDER_WAY
        self._counted = self._inhabited = time.monotonic()
        self._room = self._count(client.nthreads())

    def now(self) -> int:
        """Return how many shards may be submitted now. Raises RunError if workers are missing for too long."""
        if not is_local(self._client) and time.monotonic() - self._counted > REFRESH_SECONDS:
            try:
                ask = self._client.scheduler.ncores
                self._room = self._count(self._client.sync(ask, workers=None, callback_timeout=5))
            except (OSError, TimeoutError):  # use the old number for now
                logger.debug("the cluster's threads could not be counted", exc_info=True)
            self._counted = time.monotonic()
        return self._room

    def _count(self, threads: dict[str, int]) -> int:
        if threads:
            self._inhabited = time.monotonic()
        elif time.monotonic() - self._inhabited > DESERTED_SECONDS:
            raise RunError(
                f"{self._client.scheduler.address}: the cluster has had no workers for {DESERTED_SECONDS:g} s; "
                "see their logs and run again"
            )
        return max(self._least, sum(threads.values()) * AHEAD)


def _until_something_happens(client: Client, resting: list[_Task]) -> float | None:
    """Return after how many seconds to wake up even if no shard is done; None to wait for a shard."""
    moments = [max(0.0, task.due - time.monotonic()) for task in resting]
    if not is_local(client):
        moments.append(REFRESH_SECONDS)
    return min(moments, default=None)


def _rest(task: _Task, total: int | None, error: StorageError) -> None:
    """Schedule and log the retry of a failed shard; raise its error after the last attempt."""
    if task.tries > len(WAITS):
        raise error
    seconds = WAITS[task.tries - 1] * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    task.due = time.monotonic() + seconds
    logger.warning(
        "shard %s failed: %s; attempt %d of %d in %.0f s",
        *(f"{task.number} of {total}" if total else task.number, error),
        *(task.tries + 1, len(WAITS) + 1, seconds),
    )


def _outcome(
    client: Client,
    future: Future,
    under_way: int,
    shard: Shard,
    killed: Callable[[Shard, str], Outcome] | None,
) -> Any:
    """Return the result of a shard, or raise its error."""
    from distributed import KilledWorker

    if future.status == "cancelled":  # not by us: we cancel shards only when nobody waits for them any more
        raise _gone(client, under_way)
    try:
        return future.result()
    except KilledWorker as error:
        if killed is not None:
            return killed(shard, f"it killed every worker that ran it ({error})")
        raise RunError(
            f"one shard killed every worker that ran it ({error}); check the workers' memory and libraries"
        ) from error
    finally:
        future.release()


def _check_connected(client: Client, running: dict[Future, _Task]) -> None:
    """Fail if the client has lost its scheduler."""
    if client.status in {"closing", "closed"}:
        raise _gone(client, len(running))


def _gone(client: Client, under_way: int) -> RunError:
    address = client.scheduler.address if client.scheduler is not None else "the cluster"
    return RunError(
        f"{address}: the scheduler ended or cannot be reached any more, with {under_way} shards running; "
        "see its log and run again"
    )


# In the worker


def _preparation(client: Client, check: Callable[[], object] | None) -> bytes:
    """Pickle what a worker process does before its first shard; equal bytes mean the same preparation."""
    import cloudpickle

    driver = None if is_local(client) else versions_here()
    data: bytes = cloudpickle.dumps((driver, check))
    return data


def _run(function: Callable[[Shard], Outcome], shard: Shard, preparation: bytes) -> Outcome:
    _prepare(preparation)
    return function(shard)


@functools.lru_cache(maxsize=16)
def _prepare(preparation: bytes) -> None:
    """Prepare a worker process once. If that fails, the next shard tries again."""
    driver, check = pickle.loads(preparation)  # noqa: S301 - from the driver, as the shard is
    problem: SkinmlError | str | None = None
    if driver is not None:  # workers of an existing cluster; one that joined late was not checked yet
        keep_freed_memory()
        problem = difference(driver, versions_here())
    try:
        if check is not None:
            check()
    except SkinmlError as error:
        problem = problem or error
    if problem is not None:
        from distributed import get_worker

        # After a storage error the shard is retried.
        kind = StorageError if isinstance(problem, StorageError) else RunError
        raise kind(f"worker {get_worker().address}: {problem}")
