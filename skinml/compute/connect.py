"""Open a Dask client for a cluster spec of any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from skinml.compute.address import open_address
from skinml.compute.kinds import KINDS
from skinml.compute.local import open_local
from skinml.compute.spec import ClusterSpec
from skinml.compute.started import open_started

if TYPE_CHECKING:
    from distributed import Client

OPENERS: dict[str, Callable[[ClusterSpec], AbstractContextManager[Client]]] = {
    "local": open_local,
    "address": open_address,
    **dict.fromkeys(KINDS, open_started),
}
"""The context manager for each kind of cluster; it yields a client."""


@contextmanager
def connect(
    address: str | None = None,
    workers: int | None = None,
    shards: int | None = None,
) -> Iterator[Client]:
    """Open a Dask client of an existing scheduler, a cluster that the run holds, or processes on this machine.

    Args:
        address: `tcp://host:port` or `tls://host:port` of a scheduler; `KIND:FILE` for a cluster that is held
            (`hold`), or else started and ended with this block; None for local processes.
        workers: number of local processes; None for one per core.
        shards: number of shards to process; no more local workers than that are started.

    Raises:
        RequestError: no scheduler answers at `address`, or the cluster cannot be started.
        RunError: local workers do not start.
    """
    spec = ClusterSpec(address, workers, shards)
    with OPENERS[spec.kind](spec) as client:
        yield client
