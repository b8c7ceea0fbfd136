"""Start Dask workers as jobs of HTCondor, by dask-jobqueue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import Field

from skinml.compute.jobqueue import Bytes, JobFile, OneLine, start_jobs
from skinml.compute.kinds import Started


class FILE(JobFile):
    """What the file may contain beside what all batch systems have.

    Attributes:
        disk: of one job, such as "4 GiB".
        attributes: more lines of the submit file, in place of `directives`.
        queue, walltime, directives: HTCondor has none.
    """

    disk: Bytes
    attributes: dict[str, OneLine] = Field(default_factory=dict)
    queue: None = None
    walltime: None = None
    directives: tuple[()] = ()


@contextmanager
def start(name: str, file: FILE, workers: int | None) -> Iterator[Started]:
    """Submit the jobs of the workers, cancel them when the block ends; see `start_jobs`."""
    from dask_jobqueue import HTCondorCluster

    options = {"disk": file.disk, "job_extra_directives": dict(file.attributes)}
    with start_jobs(name, HTCondorCluster, file, workers, "condor_q", options) as started:
        yield started
