"""Run a program in a process of its own on a cluster's worker that offers a GPU (`--resources GPU=1`)."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from skinml.compute.connect import connect
from skinml.compute.program import ASK_SECONDS, run_program
from skinml.errors import RunError

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger("skinml.compute")

RESOURCE = "GPU"
"""The name under which workers offer a GPU; Dask's documentation uses it too."""

DESERTED_SECONDS = 600.0
"""How long a program waits for a worker with a GPU to come back."""


def offers_gpu(address: str | None) -> bool:
    """Whether the cluster at an address has a worker that offers a GPU now.

    Args:
        address: tcp:// or tls://host:port. Other kinds of clusters are not asked.

    Raises:
        RequestError: no scheduler answers at `address`.
    """
    if address is None or not address.startswith(("tcp://", "tls://")):
        return False
    with connect(address) as client:
        return bool(_workers(client))


def run_on_gpu(address: str, module: str, text: str, on_line: Callable[[str], None]) -> None:
    """Run `python -m module` on a worker that offers a GPU, one at a time for each GPU.

    If the worker is lost, another one runs it again, so it must be possible to run it twice. If this process
    ends or is interrupted, the program ends too.

    Args:
        address: of the cluster's scheduler.
        module: importable by the worker.
        text: given to the program's standard input.
        on_line: called here with each line of the program's standard output, in order.

    Raises:
        RequestError: no scheduler answers at `address`.
        RunError: the program ended with another exit code than 0, or no worker with a GPU is left.
    """
    topic = f"skinml-{uuid.uuid4().hex}"
    lines: SimpleQueue[str] = SimpleQueue()
    with connect(address) as client:
        client.subscribe_topic(topic, lambda event: lines.put(event[1]))
        future = client.submit(_run_here, module, text, topic, key=topic, pure=False, resources={RESOURCE: 1})
        try:
            _wait(client, future, lines, on_line)
        finally:
            if client.status == "running":
                client.cancel([future], force=True)


def _workers(client: Client) -> list[str]:
    """The names of the workers that offer a GPU."""
    there = client.scheduler_info(n_workers=-1)["workers"].values()
    return [str(worker["name"]) for worker in there if worker["resources"].get(RESOURCE, 0) >= 1]


def _wait(client: Client, future: Future, lines: SimpleQueue[str], on_line: Callable[[str], None]) -> None:
    """Pass lines on until the program has ended."""
    offered = asked = time.monotonic()
    while not (future.done() and lines.empty()):
        try:
            on_line(lines.get(timeout=0.2 if future.done() else 1.0))
            continue
        except Empty:
            pass
        if future.done() or time.monotonic() - asked < ASK_SECONDS:
            continue
        asked = time.monotonic()
        if client.status == "running" and _workers(client):
            offered = asked
        elif asked - offered > DESERTED_SECONDS:
            raise RunError(
                f"{client.scheduler.address}: the cluster has had no worker with a GPU for"
                f" {DESERTED_SECONDS:g} s; see its log and run again"
            )
    try:
        code, printed = future.result()
    except Exception as error:  # such as KilledWorker
        raise RunError(f"the worker with a GPU failed: {type(error).__name__}: {error}") from error
    if code:
        logger.error("the program printed, at the end:\n%s", printed)
        raise RunError(f"the program on the worker with a GPU ended with exit code {code}")


def _run_here(module: str, text: str, topic: str) -> tuple[int, str]:
    """Run in a worker: start the program and send its lines."""
    from distributed import get_worker

    worker = get_worker()
    return run_program(module, text, lambda line: worker.log_event(topic, line))
