"""Start Dask workers as jobs of a batch system, by dask-jobqueue; slurm.py and its kin say what differs."""

from __future__ import annotations

import logging
import math
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from skinml.compute.cluster_file import ClusterFile
from skinml.compute.kinds import Started
from skinml.errors import RequestError
from skinml.process.interrupts import deferred

logger = logging.getLogger("skinml.compute")

CLOSE_SECONDS = 5.0
"""How long Dask may take to cancel the jobs. A process that got a signal has 9 s in all."""

CANCEL_SECONDS = 2.0
"""How long the batch system's own command may take after that."""

HEALTH_ONLY = ["distributed.http.health"]
"""Dask's HTTP servers have no password. They serve the health page alone, which says nothing about the run."""


def _expanded(path: str) -> str:
    """A path without ~ and variables. It stands unquoted in a job script, where a shell reads it."""
    expanded = str(Path(os.path.expandvars(path)).expanduser())
    if found := re.search(r"[^\w./@%+=:,~-]", expanded):
        raise ValueError(f"{expanded!r} contains {found[0]!r}, which job scripts cannot have")
    return expanded


def _folder(path: str) -> str:
    """A folder that exists and may be written to."""
    if not os.access(expanded := _expanded(path), os.W_OK) or not Path(expanded).is_dir():
        raise ValueError(f"{expanded} is no folder that this user may write to")
    return expanded


Word = Annotated[str, Field(pattern=r"^\S+$")]
Name = Annotated[str, Field(pattern=r"^[\w\[][\w.:@+%\[\]-]*$")]
"""A name or address. It stands unquoted in a job script, too."""

PathText = Annotated[str, AfterValidator(_expanded)]
SharedFolder = Annotated[str, AfterValidator(_folder)]
OneLine = Annotated[str, Field(pattern=r"^[^\n\r]*$")]
Bytes = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$")]


class JobFile(ClusterFile):
    """What the files of all batch systems may contain.

    Attributes:
        workers: number of Dask workers, fixed for the run. Each has one thread, since decoding an image and
            predicting use a whole core.
        cores: cores of one job; it runs as many workers, so there are workers / cores jobs, rounded up.
        memory: of one job, such as "8 GiB".
        walltime: as the batch system writes it; when it is over, the jobs end, and so does the run.
        queue: or partition; None for the batch system's default.
        job_name: what the queue shows.
        interface: network interface of the scheduler and the workers, such as ib0; None for the default one.
        host: name or address by which the compute nodes reach this machine; None to find it by `interface`.
        shared_directory: a folder that this machine and all compute nodes see at the same path. The
            certificates of this run lie there while it lasts, readable by this user alone.
        local_directory: a fast disk of the compute node for temporary files.
        log_directory: a folder for the output of the jobs.
        python: the interpreter on the compute nodes; None for the one that runs here.
        prologue: shell lines that run before a worker starts, such as `module load python`. They stand in the
            job script, which administrators can read: no keys or passwords.
        directives: more lines of the job script's header, without their prefix.
    """

    workers: int = Field(ge=1, le=1024)
    cores: int = Field(1, ge=1, le=512)
    memory: Bytes
    walltime: Word | None = None
    queue: Word | None = None
    job_name: Name = "skinml"
    interface: Name | None = None
    host: Name | None = None
    shared_directory: SharedFolder = Field("~", validate_default=True)
    local_directory: PathText | None = None
    log_directory: PathText | None = None
    python: PathText | None = None
    prologue: tuple[OneLine, ...] = ()
    directives: tuple[OneLine, ...] = ()


@contextmanager
def start_jobs(
    name: str,
    make: Callable[..., Any],
    file: JobFile,
    workers: int | None,
    look_with: str,
    options: Mapping[str, Any],
) -> Iterator[Started]:
    """Start a scheduler in this process and submit the jobs of its workers; cancel them when the block ends.

    All connections use TLS with a certificate that is made here for this run, since Dask's protocol has no
    password: over plain TCP anybody on the network could run code as this user. Workers read it from
    `shared_directory`.

    Args:
        name: what `--cluster` was given.
        make: dask-jobqueue's class.
        file: the cluster's file.
        workers: takes the place of the file's number.
        look_with: the command that shows the queue.
        options: what this batch system has beside the common ones.

    Raises:
        RequestError: the batch system refuses a job, or the scheduler does not start.
    """
    count = workers or file.workers
    with TemporaryDirectory(prefix="skinml-", dir=file.shared_directory, ignore_cleanup_errors=True) as folder:
        cluster = _make_cluster(name, make, cluster_options(file, options, certificates(Path(folder))))
        try:
            _submit(name, cluster, math.ceil(count / file.cores))
            yield Started(
                *(name, cluster.scheduler_address, count),
                f"their jobs may still wait in the queue ({look_with} shows it)",
                cluster.security,
            )
        finally:
            _close(name, cluster)


def certificates(folder: Path) -> Any:
    """Make a certificate for one run, used by scheduler, workers and client, and return Dask's `Security`.

    Args:
        folder: readable by this user alone, as the files in it are; scheduler and workers read them.
    """
    from distributed.security import Security

    made = Security.temporary()
    files = {"ca_file": made.tls_ca_file, "cert": made.tls_worker_cert, "key": made.tls_worker_key}
    for name, content in files.items():
        with os.fdopen(
            os.open(folder / f"{name}.pem", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w"
        ) as file:
            file.write(content)
    roles = {
        f"tls_{role}_{name}": str(folder / f"{name}.pem")
        for role in ("scheduler", "worker", "client")
        for name in ("cert", "key")
    }
    return Security(require_encryption=True, tls_ca_file=str(folder / "ca_file.pem"), **roles)


def cluster_options(file: JobFile, more: Mapping[str, Any], security: Any) -> dict[str, Any]:
    """Return what dask-jobqueue's classes are called with."""
    routes = f"export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES={shlex.quote(str(HEALTH_ONLY))}"
    reached_at = {"host": file.host} if file.host else {}
    return {
        "cores": file.cores,
        "processes": file.cores,
        "memory": file.memory,
        "walltime": file.walltime,
        "queue": file.queue,
        "job_name": file.job_name,
        "interface": file.interface,
        "local_directory": file.local_directory,
        "log_directory": file.log_directory,
        "python": file.python,
        "job_script_prologue": [*file.prologue, routes],
        "job_extra_directives": list(file.directives),
        "worker_extra_args": ["--no-dashboard"],
        "protocol": "tls://",
        "security": security,
        "scheduler_options": {"dashboard": False, "dashboard_address": "127.0.0.1:0", **reached_at},
        "silence_logs": False,  # it would silence handlers that others share
        **more,
    }


def _make_cluster(name: str, make: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Start the scheduler. It submits nothing yet."""
    import dask

    given = {key: value for key, value in options.items() if value is not None}
    settings = {"distributed.admin.low-level-log-length": 10, "distributed.scheduler.http.routes": HEALTH_ONLY}
    logging.getLogger("distributed").setLevel(logging.ERROR)
    try:
        with deferred(), dask.config.set(settings):
            return make(**given)
    except (OSError, RuntimeError, ValueError) as error:
        raise RequestError(f"--cluster {name}: the scheduler does not start here: {_why(error)}") from error


def _submit(name: str, cluster: Any, jobs: int) -> None:
    """Submit the jobs, and wait until the batch system has taken them; they need not run yet."""
    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)  # a refusal is reported below
    try:
        # What `scale` does, too. But it submits in the background, where an error is only logged.
        while len(cluster.worker_spec) < jobs:
            cluster.worker_spec.update(cluster.new_worker_spec())
        cluster.__enter__()  # submits all, or raises the batch system's error
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise RequestError(f"--cluster {name}: the batch system refused the job: {_why(error)}") from error


def _why(error: BaseException) -> str:
    """The first line that the batch system wrote to stderr, or the error's own."""
    while isinstance(error, AssertionError) and error.__context__ is not None:
        error = (
            error.__context__
        )  # Dask closes the cluster after the real error, and stumbles over the unsent job
    text = str(error)
    _, _, written = text.partition("stderr:\n")
    lines = [line.strip() for line in (written or text).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _close(name: str, cluster: Any) -> None:
    """Cancel the jobs and close the scheduler. The work is over, so an error here does not fail the run."""
    from distributed.core import Status

    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)
    try:
        if (
            cluster.status != Status.closing
        ):  # it is if Dask has stumbled over a refused job and given up closing
            cluster.close(timeout=CLOSE_SECONDS)
    except Exception as error:  # a batch system that does not answer may cause any error
        logger.warning("--cluster %s: took too long to close (%s)", name, type(error).__name__)
    left = [job for job in cluster.workers.values() if job.job_id]
    ids = [str(job.job_id) for job in left]
    if left and not _cancel([*shlex.split(left[0].cancel_command), *ids]):
        logger.warning(
            "--cluster %s: could not cancel %s; their workers end by themselves without this process",
            *(name, ", ".join(ids)),
        )
    cluster.status = Status.closed  # otherwise Dask would wait for it again at the end of this process


def _cancel(command: Sequence[str]) -> bool:
    """Call the batch system's own command; whether it succeeded in time."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - the command of dask-jobqueue, with the ids of our jobs
            command, check=False, capture_output=True, timeout=CANCEL_SECONDS
        )
        return done.returncode == 0
    return False
