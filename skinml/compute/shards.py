"""Shards of work on a cluster's workers: as many under way as it can use, and one failure costs one shard."""

from __future__ import annotations

import functools
import logging
import pickle
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
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
"""Shards handed out per thread: one under way and two waiting, so that none idles and a million-image night
holds a handful of shards in the scheduler instead of thousands."""

LEAST_UNDER_WAY = 64
"""Shards handed out to a cluster at an address at least. An adaptive one grows with the work that waits: with 3
under way, 40 shards of a second took 41 s on 0 to 8 workers."""

REFRESH_SECONDS = 1.0
"""How often the threads of a cluster at an address are counted: workers join and leave."""

DESERTED_SECONDS = 600.0
"""How long shards wait for a cluster at an address that has no worker any more."""

WAITS = (2.0, 10.0, 30.0)
"""Seconds before the second, third and fourth try of a shard that storage failed. Up to half of each is left
out at random: shards that failed together shall not come back together."""


@dataclass
class _Task:
    """A shard that is not done yet: its number, how often it was tried, when it is to be tried again."""

    number: int
    shard: Any
    tries: int = 0
    due: float = field(default=0.0)


def map_shards(
    client: Client,
    function: Callable[[Shard], Outcome],
    shards: Iterable[Shard],
    check: Callable[[], object] | None = None,
    total: int | None = None,
) -> Iterator[Outcome]:
    """Run a function on every shard, on all workers; yield the outcomes as they come, in any order.

    Shards are taken from the iterable as workers get free, so it may be long and lazy. A worker that dies
    has its shard done again by another one, and a shard that fails with a StorageError is tried again by
    itself after a growing wait, while the others go on: `function` must leave the same behind when run twice.

    Args:
        client: of the cluster.
        function: what is done with a shard.
        shards: the work. Each shard that is under way is kept here until it is done.
        check: called once in every worker process before its first shard, also in one that joined late. What
            it raises ends the run with one line that names the worker; after a StorageError the shard is tried
            again.
        total: how many shards there are, for the log.

    Raises:
        RunError: a shard killed every worker that it was given to, `check` failed, there has been no worker for
            ten minutes, or the scheduler is gone.
        StorageError: a shard failed with it four times.
        Exception: whatever `function` raised, as it raised it.
    """
    waiting = iter(enumerate(shards, 1))
    name = getattr(function, "__name__", "shard")
    preparation = _preparation(client, check)
    room = _Room(client)
    finished: SimpleQueue[Future] = SimpleQueue()
    running: dict[Future, _Task] = {}
    resting: list[_Task] = []

    def hand_out(task: _Task) -> None:
        task.tries += 1
        # Each function has its own name for Dask, which remembers by name how long tasks take.
        future = client.submit(
            _run, function, task.shard, preparation, pure=False, key=f"{name}-{uuid.uuid4().hex}"
        )
        running[future] = task
        future.add_done_callback(finished.put)

    exhausted = False
    try:
        while True:
            _check_connected(client, running)
            now = time.monotonic()
            for task in [task for task in resting if task.due <= now]:
                resting.remove(task)
                hand_out(task)
            while not exhausted and len(running) + len(resting) < room.now():
                following = next(waiting, None)
                if following is None:
                    exhausted = True
                else:
                    hand_out(_Task(*following))
            if not (running or resting):
                return
            try:
                future = finished.get(timeout=_until_something_happens(client, resting))
            except Empty:
                continue
            task = running.pop(future)
            try:
                outcome = _outcome(client, future, len(running) + 1)
            except StorageError as error:
                _rest(task, total, error)
                resting.append(task)
            else:
                yield outcome
    finally:
        if running and client.status == "running":
            client.cancel(list(running), force=True)


def call(client: Client, *calls: Callable[[], Any]) -> list[Any]:
    """Run functions of no arguments side by side, each once, on any worker; their answers, in order.

    Raises:
        what `map_shards` raises.
    """
    answers = dict(map_shards(client, _numbered, enumerate(calls), total=len(calls)))
    return [answers[number] for number in range(len(calls))]


def _numbered(numbered: tuple[int, Callable[[], Any]]) -> tuple[int, Any]:
    number, function = numbered
    return number, function()


class _Room:
    """How many shards may be under way. Counted again now and then, for a cluster that is not ours."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._least = AHEAD if is_local(client) else LEAST_UNDER_WAY
        self._counted = self._inhabited = time.monotonic()
        self._room = self._count(client.nthreads())

    def now(self) -> int:
        """Shards that may be under way now. Raises RunError if there has been no worker for too long."""
        if not is_local(self._client) and time.monotonic() - self._counted > REFRESH_SECONDS:
            try:
                ask = self._client.scheduler.ncores
                self._room = self._count(self._client.sync(ask, workers=None, callback_timeout=5))
            except (OSError, TimeoutError):  # the old number does until a shard comes back
                logger.debug("the cluster's threads could not be counted", exc_info=True)
            self._counted = time.monotonic()
        return self._room

    def _count(self, threads: dict[str, int]) -> int:
        if threads:
            self._inhabited = time.monotonic()
        elif time.monotonic() - self._inhabited > DESERTED_SECONDS:
            raise RunError(
                f"{self._client.scheduler.address}: no worker has been there for {DESERTED_SECONDS:g} s; "
                "look at their logs and run again"
            )
        return max(self._least, sum(threads.values()) * AHEAD)


def _until_something_happens(client: Client, resting: list[_Task]) -> float | None:
    """Seconds after which to look again although no shard is done; None for never."""
    moments = [max(0.0, task.due - time.monotonic()) for task in resting]
    if not is_local(client):
        moments.append(REFRESH_SECONDS)
    return min(moments, default=None)


def _rest(task: _Task, total: int | None, error: StorageError) -> None:
    """Say when a shard that failed is tried again; raise its error after the last try."""
    if task.tries > len(WAITS):
        raise error
    seconds = WAITS[task.tries - 1] * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    task.due = time.monotonic() + seconds
    logger.warning(
        "shard %s failed: %s; try %d of %d in %.0f s",
        *(f"{task.number} of {total}" if total else task.number, error),
        *(task.tries + 1, len(WAITS) + 1, seconds),
    )


def _outcome(client: Client, future: Future, under_way: int) -> Any:
    """What came of a shard."""
    from distributed import KilledWorker

    if future.status == "cancelled":  # never by us: a shard is cancelled only when nobody waits any more
        raise _gone(client, under_way)
    try:
        return future.result()
    except KilledWorker as error:
        raise RunError(
            f"workers died over and over on one shard ({error}); look for memory or a bad library"
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
        f"{address}: the scheduler ended or can no longer be reached, with {under_way} shards under way; "
        "look at its log and run again"
    )


# In the worker


def _preparation(client: Client, check: Callable[[], object] | None) -> bytes:
    """What a worker process does before its first shard, pickled: equal bytes are the same preparation."""
    import cloudpickle

    driver = None if is_local(client) else versions_here()
    data: bytes = cloudpickle.dumps((driver, check))
    return data


def _run(function: Callable[[Shard], Outcome], shard: Shard, preparation: bytes) -> Outcome:
    _prepare(preparation)
    return function(shard)


@functools.lru_cache(maxsize=16)
def _prepare(preparation: bytes) -> None:
    """Once a process. What fails is tried again by the next shard, if there still is one."""
    driver, check = pickle.loads(preparation)  # noqa: S301 - from the driver, as the shard is
    problem: SkinmlError | str | None = None
    if driver is not None:  # workers that we did not start; one that joined late was not asked before
        keep_freed_memory()
        problem = difference(driver, versions_here())
    try:
        if check is not None:
            check()
    except SkinmlError as error:
        problem = problem or error
    if problem is not None:
        from distributed import get_worker

        # Storage that fails may be better at the next try of the shard.
        kind = StorageError if isinstance(problem, StorageError) else RunError
        raise kind(f"worker {get_worker().address}: {problem}")
