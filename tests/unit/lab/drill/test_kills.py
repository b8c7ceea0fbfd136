"""Tests of skinml/lab/drill/kills.py: a run is hit where it was to be hit, and what else happens is said."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from skinml.lab.drill import kills
from skinml.lab.drill.compare import Wrong
from skinml.lab.drill.kills import Scene, end_sessions, judge, one_run, two_runs
from skinml.lab.drill.places import folder_place
from skinml.lab.drill.plan import Kill, Victim

KILLED = -signal.SIGKILL
FLOW_AT_3 = Kill(Victim.FLOW, 3)
STORE_AT_3 = Kill(Victim.STORE, 3)

RUN = """
import subprocess, sys, time
from skinml.process.crash_points import crash_point
print("12:00:00 INFO    run score-20260101T000000Z-abcdef", file=sys.stderr, flush=True)
{body}
print('{{"listed": 1}}')
"""


def scene(tmp_path: Path, body: str, seconds: float = 0.0) -> Scene:
    """Runs that do something else than skinml does."""
    tmp_path.mkdir(exist_ok=True)
    script = tmp_path / "run.py"
    script.write_text(RUN.format(body=body))
    folder = tmp_path / "round"
    folder.mkdir()
    place = folder_place(tmp_path, tmp_path / "archive")
    command = [sys.executable, str(script)]
    return Scene(place, "workspace", command, 1, folder, seconds, 1, Random(1))  # noqa: S311 - no secret


@pytest.mark.parametrize(
    ("code", "log", "kill", "hit", "said"),
    [
        (0, "", None, False, None),
        (KILLED, "", FLOW_AT_3, True, None),
        (0, "", Kill(Victim.WORKER, 3), True, None),
        (0, "", STORE_AT_3, True, None),
        (1, "skinml: s3://x: no answer", STORE_AT_3, True, None),
        (1, "skinml: s3://x: no answer", None, False, "exit code 1: skinml: s3://x: no answer"),
        (1, "skinml: s3://x: no answer", Kill(Victim.WORKER, 3), True, "exit code 1"),
        (2, "skinml: no champion", STORE_AT_3, True, "exit code 2"),
        (-11, "", FLOW_AT_3, True, "exit code -11: it printed nothing"),
        (KILLED, "", None, False, "exit code -9"),
        (0, "", FLOW_AT_3, False, "never passed crash point 3"),
        (1, "no word of ours", STORE_AT_3, True, "failed without an error message"),
        (0, "Traceback (most recent call last):\n  File x\nValueError: 7", STORE_AT_3, True, "ValueError: 7"),
    ],
)
def test_only_what_a_kill_explains_is_right(
    code: int, log: str, kill: Kill | None, hit: bool, said: str | None
) -> None:
    found = list(judge(code, log, kill, hit, hangs=False))
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_a_run_dies_at_its_point_once(tmp_path: Path) -> None:
    where = scene(tmp_path, "crash_point(2); crash_point(3); crash_point(3)")
    ended = one_run(where, "1 flow at 3", FLOW_AT_3)
    assert (ended.hit, ended.account.code, ended.findings) == (True, KILLED, [])
    assert (ended.account.run_id, ended.account.alone) == ("score-20260101T000000Z-abcdef", False)
    ended = one_run(where, "2 undisturbed")
    assert (ended.hit, ended.account.result, ended.account.alone) == (False, {"listed": 1}, True)


def test_what_a_run_took_over_is_counted_though_it_was_killed(tmp_path: Path) -> None:
    said = "12:00:01 INFO    an interrupted run has scored 64 of these images, 11 are left"
    where = scene(tmp_path, f"print({said!r}, file=sys.stderr, flush=True); crash_point(3)")
    assert one_run(where, "1 flow at 3", FLOW_AT_3).resumed == 64
    assert one_run(scene(tmp_path / "2", "pass"), "2").resumed == 0


def test_a_point_that_is_never_passed_is_a_finding(tmp_path: Path) -> None:
    ended = one_run(scene(tmp_path, "crash_point(2)"), "1 flow at 3", FLOW_AT_3)
    assert not ended.hit
    assert [finding.wrong for finding in ended.findings] == [Wrong.UNEXPLAINED]


def test_a_moment_hits_or_comes_too_late(tmp_path: Path) -> None:
    moment = Kill(Victim.FLOW, None, moment=1.0)
    where = scene(tmp_path, "time.sleep(100)", seconds=0.3)
    assert one_run(where, "1 flow at a moment", moment).hit
    ended = one_run(replace(where, command=[sys.executable, "-c", "print('{}')"], seconds=100.0), "2", moment)
    assert (ended.hit, ended.findings) == (False, [])


def test_of_two_runs_the_first_is_hit_and_neither_is_alone(tmp_path: Path) -> None:
    ended = two_runs(scene(tmp_path, "crash_point(3)"), ("1", "2"), FLOW_AT_3)
    assert [(one.account.code, one.hit, one.account.alone) for one in ended] == [
        (KILLED, True, False),
        (0, False, False),
    ]


def test_what_a_run_leaves_behind_and_a_run_that_hangs_are_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kills, "HANG_SECONDS", 1.0)
    monkeypatch.setattr(kills, "LEFT_SECONDS", 0.1)
    body = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)']); time.sleep(100)"
    ended = one_run(scene(tmp_path, body), "1")
    assert "still running" in ended.findings[0].text
    [left] = end_sessions([ended])
    assert (left.wrong, left.number) == (Wrong.UNEXPLAINED, 1)
    assert list(end_sessions([ended])) == []
