"""Make the page of a night: its thumbnails on Dask workers; errors of the one at a night's end are warnings."""

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


def page_of_tonight(workspace: str, run_id: str, cluster: ClusterRequest) -> str | None:
    """Write the page of a run whose rows are committed; the page's URL. Whatever fails is a warning."""
    from tasks.stage import stage  # loads Prefect, which the verb `report` does not need

    @stage("write the night's page", retried=False)
    def write_page(workspace: str, run_id: str, cluster: ClusterRequest) -> str | None:
        try:
            page = make_page(workspace, run_id, cluster)[0]
        except Exception as error:
            logger.warning(
                "no page of the night: %s: %s; its rows are there; skinml report --run %s tries again",
                *(type(error).__name__, error, run_id),
            )
            return None
        logger.info("the night's page: %s", page)
        return page

    return write_page(workspace, run_id, cluster)
