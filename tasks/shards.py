"""Run one stage's shards on Dask: the stage holds the client, the shards return counts and names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from skinml import tables
from skinml.compute import map_shards
from skinml.dataset.write_shard import ShardDone
from skinml.records.max_quarantined import COLUMNS
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
    """Run every job on the workers and show the progress; return the results in any order.

    `check` is called once in each worker process before its first job; see `map_shards`.
    """
    outcomes = []
    with artifacts.progress(key, description, shards, "shards") as progress:
        for outcome in map_shards(client, function, jobs, check, shards):
            outcomes.append(outcome)
            progress.advance(1)
    return outcomes


def rejected_rows(workspace: str, shards: Sequence[ShardDone] | Sequence[ShardScored]) -> pa.Table:
    """Return the images that the shards rejected, with the columns of `max_quarantined`."""
    parts = [shard.quarantine for shard in shards if shard.quarantine is not None]
    return tables.read_parts(workspace, "quarantine", parts, list(COLUMNS))
