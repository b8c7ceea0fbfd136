"""Tests of skinml/lab/drill/rounds.py: what was recorded has to be taken over."""

from __future__ import annotations

import pytest

from skinml.lab.drill.compare import Account, Wrong
from skinml.lab.drill.kills import Ended
from skinml.lab.drill.plan import Kill, Round, Site, Victim
from skinml.lab.drill.rounds import check_resumed


@pytest.mark.parametrize(
    ("victim", "points", "at_once", "hit", "resumed", "wrong"),
    [
        (Victim.FLOW, [6], False, True, 0, True),
        (Victim.FLOW, [3, 12], False, True, 0, True),
        (Victim.FLOW, [6], False, True, 64, False),
        (Victim.FLOW, [6], False, False, 0, False),
        (Victim.FLOW, [5, 8], False, True, 0, False),
        (Victim.WORKER, [12], False, True, 0, False),
        (Victim.FLOW, [6], True, True, 0, False),
        (Victim.FLOW, [6, 9], True, True, 0, True),
    ],
)
def test_what_was_recorded_has_to_be_taken_over(
    victim: Victim, points: list[int], at_once: bool, hit: bool, resumed: int, wrong: bool
) -> None:
    kills = tuple(Kill(victim, point) for point in points)
    pairs = [
        (kill, Ended(Account("a run", None, -9, None, alone=False, leaves_row=False), hit, 1, []))
        for kill in kills
    ]
    found = list(check_resumed(Round(1, Site.FOLDER, kills, at_once, 1), pairs, resumed))
    assert [finding.wrong for finding in found] == [Wrong.UNEXPLAINED] * wrong
