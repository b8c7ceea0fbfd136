"""Clusters that this process has started on other machines: hold one for a run, open clients of it.

Starting one may take minutes in a queue, and a run uses it in several stages. So a run holds it from its first
checks to its end, and each stage opens a client of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skinml.compute.address import close_client
from skinml.compute.kinds import Started, check_can_start, load_kind
from skinml.compute.spec import ClusterSpec

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger("skinml.compute")

ANSWER_SECONDS = 30
"""Timeout for the answer of a scheduler that was just started."""


_held: dict[str, Started] = {}


@contextmanager
def hold(spec: ClusterSpec) -> Iterator[Started]:
    """Start a cluster; until the block ends, `connect` uses it for the same `--cluster`. Ends it in any case.

    Raises:
        RequestError: the file is wrong, something is not installed, or the engine refuses to start a cluster.
    """
    name = str(spec.address)
    file = check_can_start(name, spec.kind, spec.file)
    with load_kind(spec.kind).start(name, file, spec.workers) as started:
        logger.info(
            "--cluster %s: %d workers asked for; scheduler at %s", name, started.workers, started.address
        )
        _held[name] = started
        try:
            yield started
        finally:
            _held.pop(name, None)


@contextmanager
def open_started(spec: ClusterSpec) -> Iterator[Client]:
    """Open a client of the cluster that the run holds, or of one that is started for this block alone."""
    started = _held.get(str(spec.address))
    if started is None:
        with hold(spec) as started, _client(started) as client:
            yield client
    else:
        with _client(started) as client:
            yield client


def held_at(address: str) -> Started | None:
    """Return the cluster that this process holds at a scheduler's address; None for somebody else's."""
    return next((one for one in _held.values() if one.address == address), None)


@contextmanager
def _client(started: Started) -> Iterator[Client]:
    # By its address, not by the cluster's object: all that holds for a cluster at an address (checks before the
    # run, workers that join and leave) holds for this one.
    from distributed import Client

    # If the scheduler ends, Dask logs several tracebacks. `map_shards` reports it in one line instead.
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    options = {"timeout": ANSWER_SECONDS, "set_as_default": False, "security": started.security}
    client = Client(started.address, **options)
    try:
        yield client
    finally:
        close_client(client)
