"""What became of the images of a preparation: the sums over its plan and its shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from skinml.dataset.write_shard import ShardDone


@dataclass(frozen=True)
class Totals:
    """Numbers of images.

    Attributes:
        prepared: with pixels.
        resumed: of these, decoded by a run that was interrupted.
        colour_profiles: of these, with a colour profile other than sRGB.
        reasons: rejected, by reason.
    """

    prepared: int
    resumed: int
    colour_profiles: int
    reasons: Counter[str]


def add_up(shards: Sequence[ShardDone], refused: Sequence[str] = ()) -> Totals:
    """The totals of these shards.

    Args:
        shards: what the workers left.
        refused: the reasons of the images that the plan rejected, one for each.
    """
    reasons = sum((shard.rejected for shard in shards), Counter(refused))
    return Totals(
        prepared=sum(shard.prepared for shard in shards),
        resumed=sum(shard.prepared for shard in shards if shard.resumed),
        colour_profiles=sum(shard.colour_profiles for shard in shards),
        reasons=Counter(dict(sorted(reasons.items()))),
    )
