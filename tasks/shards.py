"""Spread one stage's shards over Dask: the stage holds the client, the shards bring back counts and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from skinml.compute import map_shards
from skinml.dataset.prepare import ShardDone
from skinml.scoring.predict import ShardScored
from tasks import artifacts

if TYPE_CHECKING:
    from skinml.compute import Client

Job = TypeVar("Job")
Done = TypeVar("Done")


def run_shards(
    client: Client,
    function: Callable[[Job], Done],
    jobs: Iterable[Job],
    shards: int,
    key: str,
    description: str,
    check: Callable[[], object] | None = None,
) -> list[Done]:
    """Run every job on the workers, showing how far it is; what came of them, in any order.

    `check` is called once in each worker process before its first job; see `map_shards`.
    """
    outcomes = []
    with artifacts.progress(key, description, shards, "shards") as progress:
        for outcome in map_shards(client, function, jobs, check, shards):
            outcomes.append(outcome)
            progress.advance(1)
    return outcomes


def rejections(shards: Sequence[ShardDone] | Sequence[ShardScored]) -> Counter[str]:
    """How many images the shards rejected, by reason."""
    return sum((shard.rejected for shard in shards), Counter[str]())
