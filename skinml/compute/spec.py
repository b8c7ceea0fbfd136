"""Which cluster the work runs on, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterSpec:
    """What was asked for; `connect` has one opener for each kind.

    Attributes:
        address: of a scheduler, tcp://host:port or tls://host:port; None for processes of this machine.
        workers: how many workers; None for one per core (local) or whatever the cluster has (address).
        shards: how many shards there are at the most: no more local workers than that are started.
    """

    address: str | None = None
    workers: int | None = None
    shards: int | None = None

    @property
    def kind(self) -> str:
        """The name of its opener."""
        return "local" if self.address is None else "address"
