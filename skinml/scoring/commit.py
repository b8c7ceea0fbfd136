"""Publish a night: scores in one commit, then the quarantine."""

from __future__ import annotations

from collections.abc import Sequence

from skinml import tables
from skinml.runs import Counts
from skinml.scoring.predict import ShardScored


def publish_scores(workspace: str, shards: Sequence[ShardScored], counts: Counts, run_id: str) -> int | None:
    """Make a run's rows visible, at most once for its run_id.

    A crash between the two commits leaves images that are in neither table: the next run finds them new.

    Returns:
        The version of `scores`; None where nothing was ever scored.

    Raises:
        RunError: the counts do not add up; nothing is committed then.
    """
    counts.check()
    scores = [shard.scores for shard in shards if shard.scores is not None]
    quarantine = [shard.quarantine for shard in shards if shard.quarantine is not None]
    version = tables.publish(workspace, "scores", scores, run_id)
    tables.publish(workspace, "quarantine", quarantine, run_id)
    return version
