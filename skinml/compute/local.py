"""Start worker processes on this machine that nobody else can reach and that end with the run."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from skinml.compute.cores import cores
from skinml.compute.spec import ClusterSpec
from skinml.errors import RunError
from skinml.process.interrupts import deferred
from skinml.process.memory import ARENAS, MMAP_THRESHOLD, TRIM_THRESHOLD

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger("skinml.compute")

LOCAL_CLUSTER: dict[str, Any] = {
    # The scheduler keeps its last 1,000 transitions for debugging, each with its shard: 0.3 MB for every shard
    # that is long done.
    "distributed.admin.low-level-log-length": 10,
    # See skinml/process/memory.py. As variables these hold from the first allocation on.
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_TRIM_THRESHOLD_": TRIM_THRESHOLD,
        "MALLOC_MMAP_THRESHOLD_": MMAP_THRESHOLD,
        "MALLOC_ARENA_MAX": ARENAS,
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1),
    },
    # Dask samples stacks every 10 ms and memory every 100 ms for a dashboard, which is off here.
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    # Dask's HTTP servers are open to everybody on this machine without a password: they only serve the health
    # page, which says nothing about the run.
    "distributed.scheduler.http.routes": ["distributed.http.health"],
    "distributed.worker.http.routes": ["distributed.http.health"],
}
"""Dask settings that differ from its defaults in local clusters."""

STARTS = 3
"""Attempts to start a local cluster."""


@contextmanager
def open_local(spec: ClusterSpec) -> Iterator[Client]:
    """Start `spec.workers` processes of one thread each (decoding and predicting use a whole core).

    They are spawned, never forked (s3fs, delta-rs and TensorFlow are not fork-safe), and listen on loopback
    only. All connections use TLS with a certificate that is made here and kept in memory: Dask's protocol has
    no password, so over plain TCP any user of the machine could run code as this user.

    Raises:
        RunError: workers do not start.
    """
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    # Dask logs every connection at INFO, and Prefect shows everything that reaches the root logger.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    count = spec.workers or cores()
    if spec.shards is not None:
        count = max(1, min(count, spec.shards))
    with dask.config.set(LOCAL_CLUSTER):
        with _uninterrupted():
            cluster = _start(
                LocalCluster,
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                protocol="tls://",
                security=Security.temporary(),  # 0.12 s, and with it workers start as fast as without
                # No dashboard. The health page that Dask always serves uses any free loopback port, so that two
                # runs on one machine do not compete for 8787.
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                # Errors of a shard come back as exceptions. The only messages at ERROR are tracebacks of
                # workers that were closed while they sent a heartbeat.
                silence_logs=logging.CRITICAL,
            )
        try:
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            _close(cluster)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Block Ctrl-C and SIGHUP in worker processes for good, and in this process while they start.

    A terminal sends both signals to all of its processes, SIGHUP when it is closed. A worker that gets one dies
    with a traceback, but only the driver should end the run. A blocked signal stays blocked in the threads that
    are started here (Dask's event loop) and in all processes that those start, also in a worker that replaces a
    dead one.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    resource_tracker.ensure_running()  # which ignores SIGINT by itself, and unblocks it here when it starts
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with deferred():  # another thread of this process may take the signal
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(make: Callable[..., Any], **options: Any) -> Any:
    """Start a local cluster; start again if a worker died during start-up, because Dask itself gives up."""
    for _ in range(STARTS):
        try:
            return make(**options)
        except RuntimeError as error:
            failure = error
            logger.warning("a worker died during start-up (%s); starting the workers again", error)
    raise RunError(
        f"workers died during start-up, {STARTS} times in a row ({failure}); check that memory is free, or use "
        "fewer --workers"
    )


def _close(cluster: Any) -> None:
    """Close a local cluster. Its work is done or has failed already, so an error here must not fail the run.

    Dask waits 5 s for a worker that it has killed. Once in 200 runs, on two cores that a dozen other processes
    used, that was not enough.
    """
    from distributed.core import Status

    # Dask's event loop would log a page of traceback for the error that is caught here. Only now, at the end.
    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)
    try:
        cluster.close()
    except Exception as error:
        logger.warning("workers took too long to stop (%s); they end with this process", type(error).__name__)
        cluster.status = Status.closed  # otherwise Dask would wait for them again at the end of this process
