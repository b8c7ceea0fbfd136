"""Connect to an existing Dask scheduler by its address."""

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

logger = logging.getLogger("skinml.compute")

ANSWER_SECONDS = 10
"""Timeout for the answer of a scheduler."""

TLS_NEEDED = (
    " with these certificates; Dask's configuration names them: distributed.comm.tls.ca-file, "
    "distributed.comm.tls.client.cert and distributed.comm.tls.client.key"
)


@contextmanager
def open_address(spec: ClusterSpec) -> Iterator[Client]:
    """Open a client of the scheduler at `spec.address`. For tls:// Dask's configuration has the certificates.

    Raises:
        RequestError: no scheduler answers at this address.
    """
    from distributed import Client

    address = str(spec.address)
    # If the scheduler ends, Dask logs several tracebacks. `map_shards` reports it in one line instead.
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        _try_to_connect(address)
        client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
    except Exception as error:  # a service that is not Dask may cause any error
        how = TLS_NEEDED if address.startswith("tls://") else ""
        raise RequestError(f"--cluster {address}: no Dask scheduler answers at this address{how}") from error
    try:
        yield client
    finally:
        close_client(client)


def close_client(client: Client) -> None:
    """Close a client. One whose scheduler is gone may fail to, which is no reason for a run to fail.

    distributed 2026.8 cancels a connection attempt that is just timing out: "Cannot change state of expiring
    Timeout".
    """
    try:
        client.close()
    except (RuntimeError, OSError, TimeoutError):
        logger.debug("the client of %s could not be closed", client.scheduler, exc_info=True)


def _try_to_connect(address: str) -> None:
    """Open and close one connection to a scheduler.

    Dask's client waits for ever if something accepts the connection and sends nothing, for example the
    dashboard.
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
