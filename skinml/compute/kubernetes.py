"""Start a Dask cluster on Kubernetes: a DaskCluster resource, which the operator of dask-kubernetes runs.

The file is the manifest of that resource, so `kubectl apply --dry-run=server -f FILE` checks it, too.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from skinml.compute.cluster_file import ClusterFile
from skinml.compute.kinds import Started
from skinml.errors import RequestError
from skinml.process.interrupts import deferred

logger = logging.getLogger("skinml.compute")

START_SECONDS = 600.0
"""How long the scheduler's pod may take: a node may have to be added an image pulled. dask-kubernetes itself
waits for ever for a pod that cannot be scheduled."""

CLOSE_SECONDS = 6.0
"""How long to wait until the resource is gone. It is marked for deletion at once."""

IDLE_SECONDS = 3600
"""After so long without work the operator deletes a cluster, since its run was probably killed. A run's own
pauses must be shorter: its cluster has no work while the archive is listed."""

LONGEST_NAME = 40
"""dask-kubernetes allows 50 characters, and 9 are added for the run."""


class _Part(BaseModel):
    """A part of the manifest: what skinml reads is checked here, the rest by Kubernetes."""

    model_config = ConfigDict(frozen=True, extra="allow")


class _Metadata(_Part):
    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=LONGEST_NAME)]
    namespace: str | None = None


class _PodSpec(_Part):
    containers: list[dict[str, Any]] = Field(min_length=1)


class _Worker(_Part):
    replicas: int = Field(ge=1, le=1024)
    spec: _PodSpec


class _Scheduler(_Part):
    spec: _PodSpec
    service: dict[str, Any]


class _Spec(ClusterFile):
    idle_timeout: int = Field(IDLE_SECONDS, alias="idleTimeout", ge=60)
    worker: _Worker
    scheduler: _Scheduler


class FILE(ClusterFile):
    """The manifest of a DaskCluster. Of a fixed size: the operator's adaptive scaling ends workers at work."""

    api_version: Literal["kubernetes.dask.org/v1"] = Field(alias="apiVersion")
    kind: Literal["DaskCluster"]
    metadata: _Metadata
    spec: _Spec


def manifest(file: FILE, workers: int | None, run: str) -> dict[str, Any]:
    """Return the resource for one run: a name of its own, and so many workers.

    Args:
        file: the manifest in the file.
        workers: takes the place of its replicas.
        run: what the name ends in. Two runs with one name would share a cluster, and the first would delete it.
    """
    made: dict[str, Any] = copy.deepcopy(file.model_dump(by_alias=True, exclude_none=True))
    name = made["metadata"]["name"] = f"{file.metadata.name}-{run}"
    if workers is not None:
        made["spec"]["worker"]["replicas"] = workers
    made["spec"]["scheduler"]["service"]["selector"] = {
        "dask.org/cluster-name": name,
        "dask.org/component": "scheduler",
    }
    return made


@contextmanager
def start(name: str, file: FILE, workers: int | None) -> Iterator[Started]:
    """Create the resource, wait for its scheduler, delete it when the block ends.

    The operator's schedulers speak plain TCP: a network policy must keep other pods away from them
    (deployments/kubernetes/base/network.yaml has one).

    Raises:
        RequestError: Kubernetes cannot be reached or refuses, the operator is missing, or the scheduler
            does not start.
    """
    from distributed.utils import LoopRunner, sync

    made = manifest(file, workers, secrets.token_hex(4))
    runner = LoopRunner(asynchronous=False)
    with deferred():
        runner.start()
    cluster = None
    try:
        with deferred():
            cluster = sync(runner.loop, _make_cluster, made, file.metadata.namespace)
        try:
            sync(runner.loop, _wait_for_scheduler, cluster)
        except Exception as error:  # httpx, kr8s and dask-kubernetes have no common class of errors
            raise RequestError(
                f"--cluster {name}: Kubernetes started no scheduler: {_why(error)}; is this machine's "
                "kubeconfig right, and the operator of dask-kubernetes installed?"
            ) from error
        yield Started(
            *(name, cluster.scheduler_address, made["spec"]["worker"]["replicas"]),
            f"their pods may be pending (kubectl get pods -l dask.org/cluster-name={cluster.name} shows it)",
        )
    finally:
        if cluster is not None:
            _close(name, cluster, runner)
        runner.stop()


async def _make_cluster(made: dict[str, Any], namespace: str | None) -> Any:
    """Return the object that will create the resource. It talks to nobody yet."""
    from dask_kubernetes.operator import KubeCluster
    from dask_kubernetes.operator.kubecluster.kubecluster import CreateMode
    from tornado.ioloop import IOLoop

    return KubeCluster(
        custom_cluster_spec=made,
        namespace=namespace,
        create_mode=CreateMode.CREATE_ONLY,
        shutdown_on_close=True,
        asynchronous=True,  # so that waiting can have an end
        loop=IOLoop.current(),
        quiet=True,
    )


async def _wait_for_scheduler(cluster: Any) -> None:
    cluster.skinml_start = asyncio.ensure_future(cluster)  # for _delete to cancel
    await asyncio.wait_for(cluster.skinml_start, START_SECONDS)


def _close(name: str, cluster: Any, runner: Any) -> None:
    """Delete the resource. The work is over, so an error here does not fail the run."""
    from distributed.utils import sync

    try:
        sync(runner.loop, _delete, cluster, callback_timeout=CLOSE_SECONDS)
    except Exception as error:
        logger.warning(
            "--cluster %s: %s may still be there (%s); it is deleted after %d s without work, or by: "
            "kubectl delete daskcluster %s",
            *(name, cluster.name, _why(error), IDLE_SECONDS, cluster.name),
        )


async def _delete(cluster: Any) -> None:
    start = getattr(cluster, "skinml_start", None)
    if start is not None and not start.done():
        start.cancel()
        await asyncio.wait([start])
    await cluster.close(timeout=CLOSE_SECONDS)


def _why(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
