"""The table of kinds of clusters that are started for a run, and the check of their files.

A new kind is a file in this package and a row here. It has `FILE`, a pydantic model of the cluster's file, and
`start`, a context manager. Importing it must not import Dask: the command line checks requests with it.
"""

from __future__ import annotations

import importlib
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Protocol, cast

from skinml.compute.cluster_file import ClusterFile, read_cluster_file
from skinml.errors import RequestError


@dataclass(frozen=True)
class Started:
    """A cluster that this process has started.

    Attributes:
        name: what `--cluster` was given, for messages.
        address: of its scheduler.
        workers: how many it was asked to have.
        where_to_look: how to see why workers do not come.
        security: Dask's `Security` with the certificates of this cluster; None over plain TCP.
    """

    name: str
    address: str
    workers: int
    where_to_look: str
    security: Any = field(default=None, repr=False)


class KindModule(Protocol):
    """What the file of a kind has."""

    FILE: type[ClusterFile]

    def start(self, name: str, file: Any, workers: int | None) -> AbstractContextManager[Started]:
        """Start the cluster, end it with the block. `name` is what `--cluster` was given, for messages."""


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    Attributes:
        module: the module of the kind.
        extra: what to install: pip install 'skinml[EXTRA]'.
        package: the module that the extra brings.
        commands: programs that must be on the PATH of this machine.
    """

    module: str
    extra: str
    package: str
    commands: tuple[str, ...] = ()


KINDS = {
    "kubernetes": Kind("skinml.compute.kubernetes", "kubernetes", "dask_kubernetes"),
    "slurm": Kind("skinml.compute.slurm", "jobqueue", "dask_jobqueue", ("sbatch", "scancel")),
    "pbs": Kind("skinml.compute.pbs", "jobqueue", "dask_jobqueue", ("qsub", "qdel")),
    "lsf": Kind("skinml.compute.lsf", "jobqueue", "dask_jobqueue", ("bsub", "bkill")),
    "sge": Kind("skinml.compute.sge", "jobqueue", "dask_jobqueue", ("qsub", "qdel")),
    "htcondor": Kind("skinml.compute.htcondor", "jobqueue", "dask_jobqueue", ("condor_submit", "condor_rm")),
}
"""Kinds of clusters by their name before the colon of `--cluster KIND:FILE`."""


def load_kind(name: str) -> KindModule:
    """Return the module of a kind."""
    return cast(KindModule, importlib.import_module(KINDS[name].module))


def check_can_start(name: str, kind: str, path: str) -> ClusterFile:
    """Return the file of a cluster; refuse what cannot be started from this machine. Starts nothing.

    Args:
        name: what `--cluster` was given, for messages.
        kind: a name in KINDS.
        path: of the file.

    Raises:
        RequestError: the file is missing or wrong, the extra is not installed, or a command is not on the PATH.
    """
    row = KINDS[kind]
    file = read_cluster_file(f"--cluster {name}", path, load_kind(kind).FILE)
    if find_spec(row.package) is None:
        raise RequestError(
            f"--cluster {name}: needs {row.package}, not installed here: pip install 'skinml[{row.extra}]'"
        )
    missing = [command for command in row.commands if shutil.which(command) is None]
    if missing:
        raise RequestError(
            f"--cluster {name}: {' and '.join(missing)} not found on this machine's PATH; run skinml "
            "on a machine that may submit jobs"
        )
    return file
