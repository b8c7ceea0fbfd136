"""Count the cores of this machine and the threads of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

LEAST_WIDTH = 8
"""The smallest width assumed for a cluster at an address: it may be adaptive and start without workers."""


def cores() -> int:
    """Return the cores that this process may use; unlike `os.cpu_count()`, Dask reads affinity and cgroups."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


def is_local(client: Client) -> bool:
    """Whether the workers are processes that `connect` started on this machine."""
    return client.cluster is not None


def width(client: Client, workers: int | None = None) -> int:
    """Return the number of threads to cut the work for: those that exist or are expected.

    Args:
        client: the client of the cluster.
        workers: the number of workers that was requested.
    """
    threads: int = sum(client.nthreads().values())
    return max(1, threads) if is_local(client) else max(threads, workers or 0, LEAST_WIDTH)
