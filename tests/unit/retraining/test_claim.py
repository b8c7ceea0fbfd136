"""Tests of skinml/retraining/claim.py: one run at a time, and a dead one holds nothing."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from skinml.errors import RunError
from skinml.layout import retraining_url, under_way_url
from skinml.retraining.claim import EARLIER, Claim, check_claim, claim
from skinml.storage.objects import read_bytes, write_bytes
from skinml.storage.removal import delete


def begin(place: str, run_id: str) -> str:
    """A run that is under way, as far as the claim looks."""
    write_bytes(under_way_url(place, run_id), b"{}")
    return run_id


def end(place: str, run_id: str) -> None:
    delete([under_way_url(place, run_id)])


def test_the_second_run_is_told_who_is_at_work_until_that_one_ends(place: str) -> None:
    first, second = begin(place, "retrain-1"), begin(place, "retrain-2")
    mine = claim(place, first)
    assert isinstance(mine, Claim)
    assert (mine.run_id, mine.earlier) == (first, ())
    assert claim(place, second) == first
    assert claim(place, first) == mine, "a stage that is tried again"
    check_claim(place, first)
    end(place, first)
    theirs = claim(place, second)
    assert isinstance(theirs, Claim)
    assert theirs.earlier == (first,)
    with pytest.raises(RunError, match=r"run retrain-2 has taken this run for dead.*nothing was decided"):
        check_claim(place, first)


def test_of_many_runs_at_once_one_gets_it(place: str) -> None:
    runs = [begin(place, f"retrain-{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda run: claim(place, run), runs))
    [winner] = [one for one in found if isinstance(one, Claim)]
    assert {one for one in found if isinstance(one, str)} == {winner.run_id}

    end(place, winner.run_id)  # it died: again one of those who wait gets it
    others = [run for run in runs if run != winner.run_id]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda run: claim(place, run), others))
    [heir] = [one for one in found if isinstance(one, Claim)]
    assert heir.earlier == (winner.run_id,)
    assert {one for one in found if isinstance(one, str)} == {heir.run_id}


def test_only_the_latest_earlier_runs_are_named(place: str) -> None:
    for number in range(EARLIER + 3):
        run_id = begin(place, f"retrain-{number}")
        last = claim(place, run_id)
        end(place, run_id)
    assert isinstance(last, Claim)
    assert last.earlier == tuple(f"retrain-{number}" for number in range(EARLIER + 1, 1, -1))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"run_id": 3}', b"\xff" * 100, b'{"run_id": "x"}'])
def test_what_is_no_claim_is_named_and_stays(place: str, content: bytes) -> None:
    write_bytes(retraining_url(place), content)
    with pytest.raises(RunError, match=r"retraining\.json: does not name a run: .*; delete it, and run again"):
        claim(place, begin(place, "retrain-1"))
    assert read_bytes(retraining_url(place)) == content


def test_the_file_is_for_people_too(place: str) -> None:
    claim(place, begin(place, "retrain-1"))
    assert json.loads(read_bytes(retraining_url(place))).keys() == {"run_id", "claimed_at", "earlier"}
