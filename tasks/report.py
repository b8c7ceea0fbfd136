"""Make the page of a night: its thumbnails on Dask workers; at the end of a night, as a stage that never fails it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from skinml.compute import connect, map_shards
from skinml.report.night.night import find_night
from skinml.report.night.thumbnails import IN_SPRITE, Done, Job, run_job
from skinml.report.night.write import write_night
from skinml.requests.base import ClusterRequest
from skinml.requests.retraining import MIN_NEW
from tasks.progress import progress_bar

logger = logging.getLogger("skinml.report")


def make_page(workspace: str, run_id: str | None, cluster: ClusterRequest) -> list[str]:
    """Write the page of a run, or of the newest night, and those over all nights; their URLs.

    Raises:
        RequestError: there is no such run, or it has not completed.
    """
    run = find_night(workspace, run_id)

    def on_workers(jobs: Sequence[Job]) -> Iterator[Done]:
        images = sum(len(job.images) for job in jobs)
        with (
            progress_bar("thumbnails", images, "images") as advance,
            connect(cluster.cluster, cluster.workers, len(jobs)) as client,
        ):
            for done in map_shards(client, run_job, jobs, total=len(jobs)):
                advance(min(IN_SPRITE, images - done.first))
                yield done

    return write_night(workspace, run, MIN_NEW, on_workers)
