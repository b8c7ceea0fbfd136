"""The stages that start and check a cluster before a run begins: its workers, their versions, their storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import pyarrow.compute as pc

from skinml import compute
from skinml.layout import Archive
from skinml.records.runs import Run
from skinml.records.under_way import check_seen
from skinml.requests.base import ClusterRequest
from skinml.storage.listing import list_images
from tasks.runs import RunRecord
from tasks.stage import stage


def check_cluster(
    workspace: str,
    request: ClusterRequest,
    record: RunRecord,
    archives: Sequence[Archive] = (),
    images: Sequence[str] = (),
) -> None:
    """Refuse a cluster that cannot do the work, before the run begins. Local processes are not checked.

    `--cluster KIND:FILE` starts a cluster here, which ends with the run whatever happens, or earlier by
    `release_cluster`. If no images will be read, none is started.

    Args:
        workspace: normalised URL.
        request: the cluster, the number of workers to wait for, and how long.
        record: the run's record; when it closes, so does a started cluster.
        archives: every worker reads the first image of each.
        images: uris of more images that every worker reads.
    """
    if request.cluster is None:
        return
    spec = compute.ClusterSpec(request.cluster, request.workers)
    if spec.is_started:
        if not (archives or images):
            return
        cluster = ExitStack()
        record.open.enter_context(cluster)
        record.cluster = cluster
        _start_cluster(spec, cluster)
    _check_cluster(workspace, request, archives, images)


def release_cluster(record: RunRecord) -> None:
    """End a cluster that was started for the run and has no more work."""
    record.cluster.close()


@stage("start the cluster", "start {spec.address}", retried=False)
def _start_cluster(spec: compute.ClusterSpec, cluster: ExitStack) -> None:
    cluster.enter_context(compute.hold(spec))


def workspace_check(workspace: str, request: ClusterRequest, run: Run) -> Callable[[], None] | None:
    """Return the check for each worker process before its first shard; None for local processes."""
    return None if request.cluster is None else partial(check_seen, workspace, run.run_id)


@stage("check the cluster", "check {request.cluster}")
def _check_cluster(
    workspace: str, request: ClusterRequest, archives: Sequence[Archive], images: Sequence[str]
) -> None:
    read = [*_first_images(archives), *images]
    with compute.connect(request.cluster) as client:
        compute.check_cluster(client, workspace, read, request.cluster_wait, request.workers)


def _first_images(archives: Sequence[Archive]) -> Iterator[str]:
    for archive in archives:
        for piece in list_images(archive.url, archive.left_out):
            readable = piece.images.filter(pc.greater(piece.images["size_bytes"], 0))
            if readable.num_rows:
                yield readable["uri"][0].as_py()
                break
