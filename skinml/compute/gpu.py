"""Run a program in a process of its own on a cluster's worker that offers a GPU (`--resources GPU=1`)."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from skinml.compute.connect import connect
from skinml.errors import RunError

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger("skinml.compute")

RESOURCE = "GPU"
"""The name under which workers offer a GPU; Dask's documentation uses it too."""

DESERTED_SECONDS = 600.0
"""How long a program waits for a worker with a GPU to come back."""

ASK_SECONDS = 5.0
"""How often the scheduler is asked whether a GPU is still offered, and a worker whether its task was cancelled.
Dask says neither by itself: work that wants a resource which nobody offers waits for ever."""


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
    """Run in a worker: start the program, send its lines, end it if nobody wants it any more.

    A program and not a function in a process of multiprocessing, because Dask's workers are daemons of their
    nannies, and daemons may have no children.
    """
    from distributed import get_worker

    worker = get_worker()
    over = threading.Event()
    with (
        tempfile.TemporaryDirectory(prefix="skinml-") as scratch,  # removed here, also if the program is killed
        tempfile.TemporaryFile() as printed,
    ):
        process = subprocess.Popen(  # noqa: S603 - this Python, and a module that the caller names
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            env={**os.environ, "TMPDIR": scratch},
        )
        asked, answers = process.stdin, process.stdout
        if asked is None or answers is None:  # never: both are pipes
            raise RunError(f"{module} was started without pipes")

        def end_if_cancelled() -> None:
            while not over.wait(ASK_SECONDS):
                task = worker.state.tasks.get(topic)
                if task is None or task.state in ("cancelled", "released", "forgotten"):
                    process.kill()

        threading.Thread(target=end_if_cancelled, daemon=True).start()
        try:
            asked.write(text.encode() + b"\n")
            asked.flush()  # and left open: its end tells the program that this process is gone
            for line in answers:
                worker.log_event(topic, line.decode("utf-8", "replace").rstrip("\n"))
            code = process.wait()
        finally:
            over.set()
            process.kill()
            asked.close()
            answers.close()
            process.wait()
        printed.seek(0)
        return code, printed.read()[-4000:].decode("utf-8", "replace")
