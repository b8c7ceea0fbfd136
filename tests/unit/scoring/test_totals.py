"""Tests of skinml/scoring/totals.py: every image of every shard is counted once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from skinml.records.runs import Counts
from skinml.schemas import LISTING
from skinml.scoring.compare_bytes import Compared
from skinml.scoring.pending import Pending
from skinml.scoring.predict import ShardScored
from skinml.scoring.totals import Totals, add_up
from skinml.tables import Part

FEW = st.integers(0, 50)


@st.composite
def _shards(draw: st.DrawFn) -> list[ShardScored]:
    def shard() -> ShardScored:
        rejected = Counter(draw(st.lists(st.sampled_from(["empty", "truncated"]), max_size=5)))
        remembered = Part("part.parquet", 1, draw(FEW)) if draw(st.booleans()) else None
        compared = Compared(draw(FEW), draw(FEW), draw(FEW), remembered)
        return ShardScored(draw(FEW), 0, rejected, None, None, resumed=draw(FEW), compared=compared)

    return [shard() for _ in range(draw(st.integers(0, 4)))]


@given(_shards(), _shards())
def test_the_totals_of_all_shards_are_those_of_their_halves_together(
    first: list[ShardScored], second: list[ShardScored]
) -> None:
    both, one, other = add_up([*first, *second]), add_up(first), add_up(second)
    for name in ("scored", "resumed", "same", "rechecked", "changed", "remembered", "reasons"):
        assert getattr(both, name) == getattr(one, name) + getattr(other, name)
    assert list(both.reasons) == sorted(both.reasons)


def test_every_listed_image_is_counted_once() -> None:
    pending = Pending(Path("pending.parquet"), 7, 10, 3, 0, 0, LISTING.empty_table())
    shards = [
        ShardScored(3, 0, Counter(truncated=1), None, None, compared=Compared(same=2)),
        ShardScored(0, 0, Counter(empty=1), None, None),
    ]
    counts = add_up(shards).counts(pending)
    assert counts == Counts(listed=10, skipped=5, done=3, quarantined=2)
    assert counts.listed == counts.skipped + counts.done + counts.quarantined
    assert add_up([]) == Totals()
