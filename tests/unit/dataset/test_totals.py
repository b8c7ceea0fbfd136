"""Tests of skinml/dataset/totals.py: every image of plan and shards is counted once."""

from __future__ import annotations

from collections import Counter

from skinml.dataset.totals import Totals, add_up
from skinml.dataset.write_shard import ShardDone


def test_plan_and_shards_are_added_up() -> None:
    shards = [
        ShardDone(0, False, 5, Counter(truncated=1), None, None, colour_profiles=2),
        ShardDone(1, True, 3, Counter(empty=2, truncated=1), None, None, colour_profiles=1),
    ]
    totals = add_up(shards, ["no_metadata", "empty"])
    assert totals == Totals(8, 3, 3, Counter(empty=3, no_metadata=1, truncated=2))
    assert list(totals.reasons) == ["empty", "no_metadata", "truncated"]
    assert totals.prepared + totals.reasons.total() == 14


def test_a_run_with_nothing_to_do_has_no_totals() -> None:
    assert add_up([]) == Totals(0, 0, 0, Counter())
