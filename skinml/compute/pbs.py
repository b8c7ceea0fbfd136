"""Start Dask workers as jobs of PBS (OpenPBS, PBS Pro, Torque), by dask-jobqueue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skinml.compute.jobqueue import JobFile, Word, start_jobs
from skinml.compute.kinds import Started


class FILE(JobFile):
    """What the file may contain beside what all batch systems have.

    Attributes:
        account: what the jobs are accounted to.
        resource_spec: such as select=1:ncpus=8:mem=16GB; None to make it of cores and memory.
    """

    account: Word | None = None
    resource_spec: Word | None = None


@contextmanager
def start(name: str, file: FILE, workers: int | None) -> Iterator[Started]:
    """Submit the jobs of the workers, cancel them when the block ends; see `start_jobs`."""
    from dask_jobqueue import PBSCluster

    with start_jobs(
        name, PBSCluster, file, workers, "qstat", {"account": file.account, "resource_spec": file.resource_spec}
    ) as started:
        yield started
