"""Real clusters that tests start: Dask's own commands, a process each, on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distributed import Client

from tests.services.processes import service, wait_for

# What `dask scheduler` and `dask worker` call. `dask` itself loads the command line of dask-kubernetes first.
SCHEDULER = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
WORKER = [sys.executable, "-m", "distributed.cli.dask_worker"]


@dataclass(frozen=True)
class Scheduler:
    """A running scheduler: its address and its process."""

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def scheduler(folder: Path, *flags: str, environment: Mapping[str, str] | None = None) -> Iterator[Scheduler]:
    """A scheduler without workers."""
    file = folder / "scheduler.json"
    command = [*SCHEDULER, "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    command += ["--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file), *flags]
    with service(command, environment or {}, folder / "scheduler.log") as process:
        wait_for(lambda: file.exists() and bool(file.read_text()), 60, "the Dask scheduler")
        yield Scheduler(json.loads(file.read_text())["address"], process)


@contextmanager
def worker(
    address: str,
    folder: Path,
    name: str = "worker",
    environment: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    python: Sequence[str] = WORKER,
    threads: int = 1,
    flags: Sequence[str] = ("--no-nanny",),
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker, which may not have come to the scheduler yet.

    Args:
        address: of the scheduler.
        folder: for its log and its files.
        name: of the worker.
        environment: beside this process's.
        before: a command that starts the rest, such as `unshare -m`.
        python: how Dask's program for workers is started.
        threads: how many it has.
        flags: more of Dask's.
    """
    command = [*before, *python, address, "--nthreads", str(threads), "--no-dashboard", *flags]
    command += ["--name", name, "--local-directory", str(folder / f"{name}-files")]
    with service(command, environment or {}, folder / f"{name}.log") as process:
        yield process


def wait_for_workers(address: str, count: int) -> None:
    """Wait until so many workers have come."""
    with Client(address, set_as_default=False) as client:
        wait_for(lambda: len(client.nthreads()) == count, 60, f"{count} workers")
