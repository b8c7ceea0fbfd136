"""Add up the results of a preparation: its plan and all of its shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from skinml.dataset.write_shard import ShardDone


@dataclass(frozen=True)
class Totals:
    """Numbers of images.

    Attributes:
        prepared: images with pixels.
        resumed: of the prepared, those that an interrupted run had decoded.
        colour_profiles: of the prepared, those with a colour profile other than sRGB.
        reasons: rejected images by reason.
    """

    prepared: int
    resumed: int
    colour_profiles: int
    reasons: Counter[str]


def add_up(shards: Sequence[ShardDone], refused: Sequence[str] = ()) -> Totals:
    """Add up these shards and the plan's rejections.

    Args:
        shards: the results of the workers.
        refused: the reasons of the images that the plan rejected, one for each.
    """
    reasons = sum((shard.rejected for shard in shards), Counter(refused))
    return Totals(
        prepared=sum(shard.prepared for shard in shards),
        resumed=sum(shard.prepared for shard in shards if shard.resumed),
        colour_profiles=sum(shard.colour_profiles for shard in shards),
        reasons=Counter(dict(sorted(reasons.items()))),
    )
