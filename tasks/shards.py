"""Spread one stage's shards over Dask: the stage holds the client, the shards bring back counts and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from skinml.cluster import connect, map_shards
from skinml.config import ClusterRequest
from skinml.dataset.prepare import ShardDone
from skinml.scoring.predict import ShardScored
from tasks import artifacts

Job = TypeVar("Job")
Done = TypeVar("Done")


def run_shards(
    function: Callable[[Job], Done],
    jobs: Iterable[Job],
    shards: int,
    cluster: ClusterRequest,
    key: str,
    description: str,
) -> list[Done]:
    """Run every job on the cluster that was asked for, showing how far it is; no jobs, no cluster."""
    if not shards:
        return []
    with (
        connect(cluster.cluster, cluster.workers, shards) as client,
        artifacts.progress(key, description, shards, "shards") as progress,
    ):
        outcomes = []
        for outcome in map_shards(client, function, jobs):
            outcomes.append(outcome)
            progress.advance(1)
    return outcomes


def rejections(shards: Sequence[ShardDone] | Sequence[ShardScored]) -> Counter[str]:
    """How many images the shards rejected, by reason."""
    return sum((shard.rejected for shard in shards), Counter[str]())
