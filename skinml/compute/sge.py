"""Start Dask workers as jobs of Sun Grid Engine and its successors, by dask-jobqueue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skinml.compute.jobqueue import JobFile, Word, start_jobs
from skinml.compute.kinds import Started


class FILE(JobFile):
    """What the file may contain beside what all batch systems have.

    Attributes:
        project: what the jobs are accounted to.
        resource_spec: such as h_vmem=16G. SGE asks for nothing by itself, not even for cores: add `-pe` to
            directives.
    """

    project: Word | None = None
    resource_spec: Word | None = None


@contextmanager
def start(name: str, file: FILE, workers: int | None) -> Iterator[Started]:
    """Submit the jobs of the workers, cancel them when the block ends; see `start_jobs`."""
    from dask_jobqueue import SGECluster

    with start_jobs(
        name, SGECluster, file, workers, "qstat", {"project": file.project, "resource_spec": file.resource_spec}
    ) as started:
        yield started
