"""Tests of skinml/lab/drill/summary.py: kills are counted by kind and point, and nothing wrong is left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from skinml.lab.drill.compare import Finding, Wrong
from skinml.lab.drill.plan import LONG, Kill, Round, Site, Victim
from skinml.lab.drill.rounds import Outcome
from skinml.lab.drill.summary import in_a_line, summarise, table

FLOW = Kill(Victim.FLOW, 8)
AWAY = Kill(Victim.STORE, None, outage=max(LONG))


def outcome(number: int, kills: tuple[Kill, ...], findings: tuple[Finding, ...] = (), **more: bool) -> Outcome:
    this = Round(number, Site.BUCKET, kills, more.get("at_once", False), 1)
    happened = Counter((this.kind(kill), kill.when) for kill in kills)
    return Outcome(this, happened, 0, len(kills) + 1, 0, 5, findings, Path("kept") if findings else None, 7.0)


def test_kills_are_counted_and_problems_named() -> None:
    wrong = (Finding(Wrong.LOST, 3, "3 images"), Finding(Wrong.RUNS, 1, "a run"))
    outcomes = [outcome(1, (FLOW, FLOW, AWAY)), outcome(2, (FLOW,), wrong, at_once=True)]
    found = summarise(outcomes, asked=4)
    assert (found["kills"], found["rounds"], found["starts"], found["two_at_once"]) == (4, 2, 6, 1)
    assert found["by_kind"] == {"flow": 2, "one of two": 1, "store, long": 1}
    assert found["by_point"] == {"flow at 8": 2, "one of two at 8": 1, "store, long at a moment": 1}
    assert found["resumed"] == 2 * 5
    assert (found["lost"], found["runs"], found["doubled"], found["unexplained"]) == (3, 1, 0, 0)
    assert found["problems"] == ["lost: 3 images (kept: kept)", "runs: a run (kept: kept)"]
    assert table(outcomes).splitlines() == [
        "killed at    8  a moment  all",
        "flow         2              2",
        "one of two   1              1",
        "store, long            1    1",
    ]


def test_kills_that_did_not_happen_are_a_problem() -> None:
    found = summarise([outcome(1, (FLOW,))], asked=2)
    assert found["unexplained"] == len(found["problems"]) == 1
    assert "only 1 of 2 kills happened" in found["problems"][0]


def test_a_round_is_said_in_a_line() -> None:
    assert in_a_line(outcome(3, (FLOW, AWAY))) == (
        "round 3 on a bucket, 7 s: flow at 8, store, long at a moment"
    )
    assert in_a_line(outcome(4, (), at_once=True)) == "round 4 on a bucket, 7 s: two at once"
