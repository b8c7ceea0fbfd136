"""The only user of Dask: a client for this configuration, and mapping shards of work on it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from skinml.errors import RequestError, RunError

if TYPE_CHECKING:
    from distributed import Client as Client  # noqa: PLC0414 - for tasks, which do not import Dask

logger = logging.getLogger("skinml.cluster")

Shard = TypeVar("Shard")
Outcome = TypeVar("Outcome")

AHEAD = 3
"""Shards handed out per worker: one under way and two waiting, so that none idles and a million-image
night holds a handful of shards in the scheduler instead of thousands."""

LOCAL_CLUSTER: dict[str, Any] = {
    # The scheduler keeps its last 1,000 steps for debugging, each with the shard that it was about: 0.3 MB for
    # every shard that has long been done.
    "distributed.admin.low-level-log-length": 10,
    # Dask has workers give freed memory back from 64 KiB on, and a decoder frees 0.4 MB an image: taking that
    # from the system again cost 100 us an image (470 instead of 376). In one arena, for one thread.
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_TRIM_THRESHOLD_": 256 * 2**20,
        "MALLOC_MMAP_THRESHOLD_": 32 * 2**20,
        "MALLOC_ARENA_MAX": 1,
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1),
    },
    # Looks at stacks every 10 ms and at memory every 100 ms: for a dashboard that is off, sooner than needed.
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
"""What is set otherwise than Dask has it, in clusters that are started here."""

STARTS = 3
"""How often a local cluster is begun."""

ANSWER_SECONDS = 10
"""How long a scheduler may take to answer."""


@contextmanager
def connect(
    address: str | None = None, workers: int | None = None, shards: int | None = None
) -> Iterator[Client]:
    """A Dask client: of an existing scheduler, or of worker processes on this machine that end with it.

    Local workers are spawned, never forked (s3fs, delta-rs and TensorFlow are not fork-safe), have one thread
    each (decoding and predicting hold a core), and listen on loopback alone.

    Args:
        address: `tcp://host:port` of a scheduler; None for local processes.
        workers: local processes; None for one per core.
        shards: how many shards there are to do: no more local workers than that are started.

    Raises:
        RequestError: no scheduler answers at `address`.
        RunError: local workers do not start.
    """
    import dask
    from distributed import Client, LocalCluster

    # Dask tells of every connection at INFO, and Prefect shows what the root logger gets.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    if address is not None:
        try:
            _knock(address)
            client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
        except Exception as error:  # another service may answer anything
            raise RequestError(f"--cluster {address}: no Dask scheduler answers there") from error
        with client:
            yield client
        return
    count = workers or os.cpu_count() or 1
    if shards is not None:
        count = max(1, min(count, shards))
    with dask.config.set(LOCAL_CLUSTER):
        cluster = _start(
            LocalCluster,
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # No dashboard, and the health page that Dask always serves on any free loopback port: two runs on
            # one machine must not fight for 8787.
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            # What goes wrong in a shard comes back as an exception. What is left at ERROR are tracebacks of
            # workers that were closed while they told the scheduler that they live.
            silence_logs=logging.CRITICAL,
        )
        try:
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            _close(cluster)


def _start(make: Callable[..., Any], **options: Any) -> Any:
    """A local cluster; begun again where a worker died while it started, which Dask does not forgive."""
    for _ in range(STARTS):
        try:
            return make(**options)
        except RuntimeError as error:
            failure = error
            logger.warning("a worker died while it started (%s)", error)
    raise RunError(f"workers died while they started, {STARTS} times in a row ({failure}); look for memory")


def _close(cluster: Any) -> None:
    """End a local cluster. Its work is done by then, or has failed already: nothing here may fail a run.

    Dask gives a worker that it has killed 5 s to be gone. Once in 200 runs, on two cores that a dozen other
    processes wanted, that was not enough.
    """
    from distributed.core import Status

    # Its event loop logs a traceback of a page of what is caught here. While shards are at work it may speak.
    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)
    try:
        cluster.close()
    except Exception as error:
        logger.warning("workers took too long to end (%s): they end with this process", type(error).__name__)
        cluster.status = Status.closed  # Dask would wait for them once more, at the end of this process


def _knock(address: str) -> None:
    """Speak to a scheduler once.

    Dask's client waits for ever for an address that takes the call and says nothing, such as the dashboard's.
    """
    from distributed.comm import connect as call
    from distributed.utils import LoopRunner

    async def knock() -> None:
        comm = await asyncio.wait_for(call(address, timeout=ANSWER_SECONDS), ANSWER_SECONDS + 1)
        comm.abort()

    runner = LoopRunner(asynchronous=False)
    try:
        runner.run_sync(knock)
    finally:
        runner.stop()


def map_shards(
    client: Client, function: Callable[[Shard], Outcome], shards: Iterable[Shard]
) -> Iterator[Outcome]:
    """Run a function on every shard, on all workers; yield the outcomes as they come, in any order.

    Shards are taken from the iterable as workers get free, so it may be long and lazy. A worker that dies
    has its shard done again by another one: `function` must leave the same behind when run twice.

    Raises:
        RunError: a shard killed every worker that it was given to.
        Exception: whatever `function` raised, as it raised it.
    """
    from distributed import KilledWorker, as_completed

    waiting = iter(shards)
    room = max(1, sum(client.nthreads().values())) * AHEAD
    running = as_completed(loop=client.loop)
    try:
        for shard in waiting:
            running.add(client.submit(function, shard, pure=False))
            if running.count() >= room:
                yield _outcome(next(running), KilledWorker)
        while running.count():
            yield _outcome(next(running), KilledWorker)
    finally:
        client.cancel(list(running.futures), force=True)


def call(client: Client, *calls: Callable[[], Any]) -> list[Any]:
    """Run functions of no arguments side by side, each once, on any worker; their answers, in order.

    Raises:
        what `map_shards` raises.
    """
    from distributed import KilledWorker

    futures = [client.submit(function, pure=False) for function in calls]
    return [_outcome(future, KilledWorker) for future in futures]


def _outcome(future: Any, killed: type[Exception]) -> Any:
    try:
        return future.result()
    except killed as error:
        raise RunError(
            f"workers died over and over on one shard ({error}); look for memory or a bad library"
        ) from error
    finally:
        future.release()
