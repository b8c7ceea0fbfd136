"""Add up the results of all shards of a run that scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from skinml.records.runs import Counts
from skinml.scoring.pending import Pending
from skinml.scoring.predict import ShardScored


@dataclass(frozen=True)
class Totals:
    """Numbers of images.

    Attributes:
        scored: images with a row of `scores`.
        resumed: images taken over from an interrupted run.
        same: images that were read but not scored, because their bytes have a row; they count as skipped.
        rechecked: images with a row that were read again.
        changed: of the rechecked, those whose bytes differ from all of their rows.
        remembered: images with a new row in `known_etags`.
        reasons: rejected images by reason.
    """

    scored: int = 0
    resumed: int = 0
    same: int = 0
    rechecked: int = 0
    changed: int = 0
    remembered: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def counts(self, pending: Pending) -> Counts:
        """Return the counts of the run's row, including the listed images that were not pending."""
        return Counts(pending.listed, pending.skipped + self.same, self.scored, self.reasons.total())


def add_up(shards: Sequence[ShardScored]) -> Totals:
    """Add up these shards."""
    compared = [shard.compared for shard in shards]
    reasons = sum((shard.rejected for shard in shards), Counter[str]())
    return Totals(
        scored=sum(shard.scored for shard in shards),
        resumed=sum(shard.resumed for shard in shards),
        same=sum(one.same for one in compared),
        rechecked=sum(one.rechecked for one in compared),
        changed=sum(one.changed for one in compared),
        remembered=sum(one.remembered.rows for one in compared if one.remembered is not None),
        reasons=Counter(dict(sorted(reasons.items()))),
    )
