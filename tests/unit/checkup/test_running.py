"""Tests of skinml/checkup/running.py and of finding the records: dead, slow, from the future."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from skinml.checkup.running import stuck
from skinml.layout import under_way_url
from skinml.process.identity import started, this_process
from skinml.records.runs import begin
from skinml.records.under_way import find_under_way, kept_under_way

DAY = timedelta(hours=24)


def test_a_run_that_is_alive_is_no_problem(place: str) -> None:
    with kept_under_way(place, begin("score", {})):
        found = find_under_way(place, datetime.now(UTC))
        assert [one.alive for one in found] == [True]
        assert stuck(found, datetime.now(UTC), DAY) == []


def test_a_run_whose_process_is_gone_is_dead(place: str, put: Callable[[str, bytes], None]) -> None:
    import psutil

    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run = begin("score", {})
    record = {
        **{"run_id": run.run_id, "flow": "score", "started_at": run.started_at.isoformat(), "parameters": {}},
        **{**this_process(), "pid": process.pid, "process_started": started(psutil.Process(process.pid))},
    }
    put(under_way_url(place, run.run_id), json.dumps(record).encode())
    assert [one.alive for one in find_under_way(place, datetime.now(UTC))] == [True]
    process.communicate()
    [problem] = stuck(find_under_way(place, datetime.now(UTC)), datetime.now(UTC), DAY)
    assert problem.kind == "dead"
    assert run.run_id in problem.detail
    assert problem.told == "runs that died without recording their end: 1"


@pytest.mark.parametrize(("minutes", "alive"), [(14, True), (16, False)])
def test_a_run_of_another_machine_is_dead_if_its_record_is_old(
    place: str, put: Callable[[str, bytes], None], minutes: int, alive: bool
) -> None:
    run = begin("score", {})
    record = {
        **{"run_id": run.run_id, "flow": "score", "started_at": run.started_at.isoformat(), "parameters": {}},
        **{**this_process(), "host": "elsewhere"},
    }
    put(under_way_url(place, run.run_id), json.dumps(record).encode())
    found = find_under_way(place, datetime.now(UTC) + timedelta(minutes=minutes))
    assert [one.alive for one in found] == [alive]


def test_a_run_that_takes_a_day_is_stuck_and_one_from_the_future_is_said(place: str) -> None:
    run = begin("score", {})
    with kept_under_way(place, run):
        found = find_under_way(place, datetime.now(UTC))
        [slow] = stuck(found, run.started_at + timedelta(hours=25), DAY)
        assert (slow.kind, slow.told) == ("stuck", "runs that have been running for more than 24 hours: 1")
        [future] = stuck(found, run.started_at - timedelta(hours=3), DAY)
        assert future.kind == "future"
        assert "began 3 h in the future" in future.detail
