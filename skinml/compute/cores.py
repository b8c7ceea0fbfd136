"""How much can be done at once: cores of this machine, threads of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

LEAST_WIDTH = 8
"""What a cluster at an address is taken for at least: it may be adaptive and begin without a worker."""


def cores() -> int:
    """Cores that this process may use: Dask looks at affinity and cgroups, which `os.cpu_count()` does not."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


def is_local(client: Client) -> bool:
    """Whether the workers are processes that `connect` started on this machine."""
    return client.cluster is not None


def width(client: Client, workers: int | None = None) -> int:
    """For how many threads work should be cut: those that are there, or that will be.

    Args:
        client: of the cluster.
        workers: how many workers were asked for.
    """
    threads: int = sum(client.nthreads().values())
    return max(1, threads) if is_local(client) else max(threads, workers or 0, LEAST_WIDTH)
