"""Tests of skinml/lab/drill/plan.py: every point and victim comes up, and every kill can happen."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from skinml.lab.drill.plan import (
    ADOPTED,
    CHAINS,
    LEAVES_RECORDS,
    RECORDED,
    RECOVERY,
    Round,
    Site,
    Victim,
    rounds,
)

BOTH = (Site.FOLDER, Site.BUCKET)
CYCLE = len(CHAINS)


def taken(seed: int, sites: tuple[Site, ...], count: int) -> list[Round]:
    return list(islice(rounds(seed, sites), count))


def test_two_turns_kill_everything_everywhere() -> None:
    done = {
        (this.site, kill.victim, kill.point)
        for this in taken(1, BOTH, 2 * CYCLE)
        if not this.at_once
        for kill in this.kills
    }
    points = {
        Victim.FLOW: [*range(1, RECOVERY + 1), RECORDED, ADOPTED, None],
        Victim.WORKER: [3, 4, 5, RECORDED, ADOPTED, None],
        Victim.STORE: [*range(1, 10), RECORDED, ADOPTED, None],
    }
    for victim, wanted in points.items():
        sites = [Site.BUCKET] if victim is Victim.STORE else BOTH
        assert {(site, victim, point) for site in sites for point in wanted} <= done


def test_two_runs_at_once_come_up_undisturbed_and_with_one_of_them_killed() -> None:
    pairs = [this for this in taken(1, BOTH, CYCLE) if this.at_once and this.promoted is None]
    assert Counter(len(this.kills) for this in pairs) == {0: 1, 1: 5, 2: 2}
    assert {this.kills[-1].point for this in pairs if this.kills} == {None, 7, 8, 9, RECORDED, ADOPTED}
    for this in pairs:
        assert [this.kind(kill) for kill in this.kills[:-1]] == ["flow"] * (len(this.kills) - 1)
        assert [this.kind(kill) for kill in this.kills[-1:]] == ["one of two"] * bool(this.kills)


def test_a_server_stays_away_for_seconds_mostly_and_sometimes_for_longer_than_runs_wait() -> None:
    stores = [
        (this.kind(kill), kill)
        for this in taken(1, BOTH, 4 * CYCLE)
        for kill in this.kills
        if kill.victim is Victim.STORE
    ]
    assert all(kill.outage <= 4 for kind, kill in stores if kind == "store")
    long = [kill for kind, kill in stores if kind == "store, long"]
    assert {kill.point for kill in long} == {8, 9, None}
    assert all(45 <= kill.outage <= 110 for kill in long)
    assert len(long) < len(stores) / 4


def test_without_a_bucket_no_server_is_killed() -> None:
    assert all(
        this.site is Site.FOLDER and all(kill.victim is not Victim.STORE for kill in this.kills)
        for this in taken(1, (Site.FOLDER,), 2 * CYCLE)
    )


def test_the_same_seed_gives_the_same_plan() -> None:
    assert taken(5, BOTH, 40) == taken(5, BOTH, 40)
    assert taken(5, BOTH, 40) != taken(6, BOTH, 40)


def test_a_run_that_may_commit_leaves_images_to_those_that_need_some() -> None:
    for this in taken(3, BOTH, 2 * CYCLE):
        for position, kill in enumerate(this.kills):
            later = this.kills[position + 1 :]
            commits = kill.victim is not Victim.FLOW or kill.point in {None, 8, 9, 10}
            needed = any(
                one.point not in {1, 2, 6, 10, RECOVERY} or one.victim is not Victim.FLOW for one in later
            )
            assert kill.limited == (commits and needed)


def test_recovery_is_killed_only_where_there_is_something_to_recover() -> None:
    for this in taken(3, BOTH, 2 * CYCLE):
        for position, kill in enumerate(this.kills):
            if kill.point == RECOVERY:
                before = [one.point for one in this.kills[:position] if one.point != 1]
                assert before[-1] in {8, 9, RECOVERY}


def test_rows_are_taken_over_only_where_a_run_has_left_some() -> None:
    for this in taken(3, BOTH, 2 * CYCLE):
        for position, kill in enumerate(this.kills):
            if kill.point == ADOPTED:
                before = this.kills[position - 1]
                assert before.victim is Victim.FLOW
                assert before.point in LEAVES_RECORDS


def test_after_a_promotion_backfills_are_killed() -> None:
    promoted = [this for this in taken(1, BOTH, 2 * CYCLE) if this.promoted is not None]
    assert {(this.site, this.at_once) for this in promoted} >= {(site, False) for site in BOTH}
    assert any(this.at_once for this in promoted)
    for this in promoted:
        assert [kill.backfill for kill in this.kills] == [position >= 1 for position in range(len(this.kills))]
        assert this.kills[0].limited, "else nothing would be new to the night beside the backfills"
        assert this.kind(this.kills[1]) == "flow, backfill"
    points = {kill.point for this in promoted for kill in this.kills if kill.backfill}
    assert {4, 5, 6, 7, 8, 9, RECOVERY, RECORDED, ADOPTED, None} <= points


def test_a_round_can_be_shortened() -> None:
    this = taken(1, BOTH, 1)[0]
    assert this.shortened(1).kills == this.kills[:1]
    assert this.shortened(99) == this
