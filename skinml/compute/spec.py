"""The specification of a cluster: local processes, or the address of a scheduler."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterSpec:
    """A requested cluster; `connect` has one opener for each kind.

    Attributes:
        address: tcp://host:port or tls://host:port of a scheduler; None for processes on this machine.
        workers: number of workers; None for one per core (local) or all that the cluster has (address).
        shards: the largest possible number of shards; no more local workers than that are started.
    """

    address: str | None = None
    workers: int | None = None
    shards: int | None = None

    @property
    def kind(self) -> str:
        """The key of its opener in `connect`."""
        return "local" if self.address is None else "address"
