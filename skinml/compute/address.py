"""A client of a scheduler that somebody else runs, at an address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skinml.compute.spec import ClusterSpec
from skinml.errors import RequestError

if TYPE_CHECKING:
    from distributed import Client

ANSWER_SECONDS = 10
"""How long a scheduler may take to answer."""

TLS_NEEDED = (
    " with these certificates; Dask's configuration names them: distributed.comm.tls.ca-file, "
    "distributed.comm.tls.client.cert and distributed.comm.tls.client.key"
)


@contextmanager
def open_address(spec: ClusterSpec) -> Iterator[Client]:
    """A client of the scheduler at `spec.address`. For tls:// the certificates come from Dask's configuration.

    Raises:
        RequestError: no scheduler answers there.
    """
    from distributed import Client

    address = str(spec.address)
    # A scheduler that ends makes Dask log several tracebacks. `map_shards` says it in one line.
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        _try_to_connect(address)
        client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
    except Exception as error:  # another service may answer anything
        how = TLS_NEEDED if address.startswith("tls://") else ""
        raise RequestError(f"--cluster {address}: no Dask scheduler answers there{how}") from error
    with client:
        yield client


def _try_to_connect(address: str) -> None:
    """Open and close one connection to a scheduler.

    Dask's client waits for ever for an address that accepts the connection and says nothing, such as the
    dashboard's.
    """
    from distributed.comm import connect
    from distributed.security import Security
    from distributed.utils import LoopRunner

    async def knock() -> None:
        connection_args = Security().get_connection_args("client")
        comm = await asyncio.wait_for(
            connect(address, timeout=ANSWER_SECONDS, **connection_args), ANSWER_SECONDS + 1
        )
        comm.abort()

    runner = LoopRunner(asynchronous=False)
    try:
        runner.run_sync(knock)
    finally:
        runner.stop()
