"""Start Dask workers as jobs of Slurm, by dask-jobqueue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skinml.compute.jobqueue import JobFile, Word, start_jobs
from skinml.compute.kinds import Started


class FILE(JobFile):
    """What the file may contain beside what all batch systems have.

    Attributes:
        account: what the jobs are accounted to.
    """

    account: Word | None = None


@contextmanager
def start(name: str, file: FILE, workers: int | None) -> Iterator[Started]:
    """Submit the jobs of the workers, cancel them when the block ends; see `start_jobs`."""
    from dask_jobqueue import SLURMCluster

    with start_jobs(name, SLURMCluster, file, workers, "squeue", {"account": file.account}) as started:
        yield started
