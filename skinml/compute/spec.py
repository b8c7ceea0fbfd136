"""The specification of a cluster: what `--cluster` names, and how many workers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skinml.compute.kinds import KINDS
from skinml.errors import RequestError


@dataclass(frozen=True)
class ClusterSpec:
    """A requested cluster; `connect` has one opener for each kind.

    Attributes:
        address: tcp://host:port or tls://host:port of a scheduler; KIND:FILE for a cluster that is started for
            the run; None for processes on this machine.
        workers: number of workers; None for one per core (local), all that the cluster has (address), or the
            number in FILE.
        shards: the largest possible number of shards; no more local workers than that are started.
    """

    address: str | None = None
    workers: int | None = None
    shards: int | None = None

    @property
    def kind(self) -> str:
        """`local`, `address`, or a name in the table of kinds.

        Raises:
            RequestError: the text before the colon is neither a protocol, nor a host, nor a kind.
        """
        if self.address is None:
            return "local"
        name, colon, rest = self.address.partition(":")
        if colon and name in KINDS:
            return name
        # `nonsense` and `localhost:8786` are left to Dask; a word and a path are a kind that nobody knows.
        if (
            re.fullmatch(r"[A-Za-z]+", name)
            and rest
            and not rest.startswith("/")
            and not re.match(r"\d+$", rest)
        ):
            raise RequestError(
                f"--cluster {self.address}: there is no kind {name!r}; use an address (tcp://host:port or "
                f"tls://host:port) or KIND:FILE with one of {', '.join(KINDS)}"
            )
        return "address"

    @property
    def file(self) -> str:
        """The path after KIND:, as the user wrote it."""
        return (self.address or "").partition(":")[2]

    @property
    def is_started(self) -> bool:
        """Whether skinml starts this cluster on other machines, and ends it with the run."""
        return self.kind in KINDS
