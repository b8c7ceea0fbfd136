"""Check, before a run begins, that an existing cluster can do the work.

Its workers are on other machines: they may be missing, have other versions, or see another disk or bucket.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from skinml.compute.cores import is_local
from skinml.compute.started import held_at
from skinml.compute.versions import LIBRARIES, difference, version_reader, versions_here
from skinml.errors import RequestError, RunError, SkinmlError
from skinml.process.memory import keep_freed_memory
from skinml.storage.objects import read_bytes, read_many, write_bytes
from skinml.storage.probe import probe_folder
from skinml.storage.removal import delete

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger("skinml.compute")

ANSWER_SECONDS = 120
"""Timeout of one check on all workers; each worker retries storage for up to 21 s."""


def check_cluster(
    client: Client,
    workspace: str,
    first_objects: Sequence[str],
    wait_seconds: float,
    workers: int | None = None,
) -> None:
    """Refuse a cluster if workers are missing, have other libraries, or do not see workspace and archive.

    Local workers are not checked: they have the same machine, environment and user as this process.

    Args:
        client: the client of the cluster.
        workspace: normalised URL. Every worker reads an object that this process writes there, and vice versa;
            both objects are deleted again.
        first_objects: uris of images from a listing that every worker reads.
        wait_seconds: how long to wait for workers.
        workers: the number of workers to wait for; by default one, or all of a cluster that was started here.

    Raises:
        RequestError: says how many workers came, or which worker differs or fails, and in what.
        RunError: the scheduler ended in the meantime.
    """
    if is_local(client):
        return
    try:
        started = held_at(client.scheduler.address)
        least = workers or (1 if started is None else started.workers)
        with _enough_workers(client, least, wait_seconds):
            _check_versions(client)
            _check_storage(client, workspace, first_objects)
            _set_allocators(client)
    except OSError as error:
        raise RunError(
            f"--cluster {_name(client)}: the scheduler ended or lost the connection "
            f"({_one_line(error)}); run again"
        ) from error


@contextmanager
def _enough_workers(client: Client, workers: int, seconds: float) -> Iterator[None]:
    """Wait for this many workers. An adaptive cluster starts none without work, so it gets some."""
    pretended = []
    try:
        if len(client.nthreads()) < workers:
            # Dask's adaptive clusters start a worker for each 5 s of work that waits, and take a task that they
            # do not know yet for half a second.
            seconds_each = [1.0] * (10 * workers)
            pretended = client.map(time.sleep, seconds_each, pure=False, key="skinml-preflight")
            try:
                client.wait_for_workers(workers, timeout=seconds)
            except TimeoutError:
                raise RequestError(
                    f"--cluster {_name(client)}: {len(client.nthreads())} of {workers} workers came "
                    f"within {seconds:g} s; {_what_to_do(client)}, or set a longer --cluster-wait"
                ) from None
        yield
    finally:
        if pretended and client.status == "running":
            client.cancel(pretended, force=True)


def _name(client: Client) -> str:
    """What `--cluster` was given."""
    started = held_at(client.scheduler.address)
    return client.scheduler.address if started is None else started.name


def _what_to_do(client: Client) -> str:
    """What to do if workers do not come."""
    started = held_at(client.scheduler.address)
    return "start them" if started is None else started.where_to_look


def _check_versions(client: Client) -> None:
    """Refuse another Python, other libraries, and workers without skinml."""
    # Python first, asked through Dask itself: our own question is sent as bytecode, which depends on it.
    asked = client.get_versions(check=False)
    ours = _python(asked["client"])
    for worker, versions in asked["workers"].items():
        theirs = _python(versions)
        if theirs != ours:
            raise RequestError(
                f"worker {worker}: Python is {theirs} there and {ours} here; install the same version on both"
            )
    here = versions_here()
    for worker, there in _ask(client, partial(version_reader(), LIBRARIES)).items():
        if isinstance(there, Exception):
            raise RequestError(
                f"worker {worker}: could not report its versions: {_one_line(there)}; see its log"
            ) from there
        problem = difference(here, there)
        if problem is not None:
            raise RequestError(f"worker {worker}: {problem}")


def _python(versions: Mapping[str, Any]) -> str:
    """Return the Python version of a process, such as 3.11, from Dask's information about it."""
    return ".".join(str(versions["host"]["python"]).split(".")[:2])


def _check_storage(client: Client, workspace: str, first_objects: Sequence[str]) -> None:
    """Check that every worker can read our probe and the first images, and that we can read its probe."""
    token = secrets.token_bytes(16)
    with probe_folder(workspace) as folder:
        write_bytes(f"{folder}/driver", token)
        answers = _ask(client, partial(_probe, workspace, folder, token, list(first_objects)))
        for worker, answer in answers.items():
            if isinstance(answer, Exception):
                raise RequestError(f"worker {worker}: {_one_line(answer)}") from answer
            problem, written = answer
            if problem is not None:
                raise RequestError(f"worker {worker}: {problem}")
            try:
                seen = read_bytes(written) == token
            except SkinmlError:
                seen = False
            if not seen:
                client.run(delete, [written], workers=[worker])
                raise RequestError(
                    f"worker {worker}: what it writes to {workspace} is not visible to this process; {_SHARED}"
                )


_SHARED = "put the workspace in a bucket or on a disk that every worker mounts at the same place"
_REACHABLE = "every worker needs the archive at the same place, and the right to read it"


def _probe(workspace: str, folder: str, token: bytes, first_objects: list[str]) -> tuple[str | None, str]:
    """Run in a worker: return what is wrong, or None, and the URL of the object that it wrote."""
    written = f"{folder}/worker-{secrets.token_hex(8)}"
    try:
        seen = read_bytes(f"{folder}/driver")
    except SkinmlError as error:
        return f"does not see the workspace {workspace}: {error}; {_SHARED}", written
    if seen != token:
        return f"sees another workspace at {workspace}; {_SHARED}", written
    for uri, read in zip(first_objects, read_many(first_objects), strict=True):
        if read.error is not None:
            return f"cannot read {uri} of the archive: {read.error}; {_REACHABLE}", written
    try:
        write_bytes(written, token)
    except SkinmlError as error:
        return f"cannot write to the workspace {workspace}: {error}", written
    return None, written


def _set_allocators(client: Client) -> None:
    """Give the workers the allocator settings of local workers; warn if some cannot have them."""
    answers = _ask(client, keep_freed_memory)
    without = [worker for worker, answer in answers.items() if answer is not True]
    if without:
        logger.warning(
            "%d of %d workers do not use glibc and cannot keep freed memory (for example %s): decoding takes "
            "about a quarter longer there",
            *(len(without), len(answers), without[0]),
        )


def _ask(client: Client, function: Callable[[], Any]) -> dict[str, Any]:
    """Return the result or the exception of every worker; workers that left in the meantime are left out."""
    try:
        answers: dict[str, Any] = client.run(function, on_error="return", callback_timeout=ANSWER_SECONDS)
    except TimeoutError:
        raise RequestError(
            f"--cluster {_name(client)}: not all {len(client.nthreads())} workers answered within "
            f"{ANSWER_SECONDS} s; see their logs"
        ) from None
    there = client.nthreads()
    answers = {worker: answer for worker, answer in answers.items() if worker in there}
    if not answers:
        raise RequestError(f"--cluster {_name(client)}: all workers left during the check; see their logs")
    return answers


def _one_line(error: Exception) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
