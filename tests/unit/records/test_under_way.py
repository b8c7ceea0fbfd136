"""Tests of skinml/records/under_way.py, on a folder and in a bucket, with real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from skinml.layout import under_way_files_url, under_way_url
from skinml.records import under_way
from skinml.records.runs import begin
from skinml.records.under_way import find_dead, forget, forget_files, is_known, kept_under_way
from skinml.storage.objects import names, read_bytes, write_bytes
from tests.unit.storage.test_removal import objects_below

HOLD = """
import sys
from skinml.records.under_way import kept_under_way
from skinml.records.runs import begin
run = begin("score", {"archive": "x"})
with kept_under_way(sys.argv[1], run):
    print(run.run_id, flush=True)
    sys.stdin.read()
"""


def hold(workspace: str) -> tuple[subprocess.Popen[str], str]:
    """A process that has a run under way until its input ends."""
    command, pipe = [sys.executable, "-c", HOLD, workspace], subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_killed_run_is_dead_and_a_slow_one_is_not(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "DEAD_SECONDS", 0.0)  # only other machines are judged by silence
    (killed, dead_id), (alive, alive_id) = hold(place), hold(place)
    killed.kill()
    killed.communicate()
    ours = begin("score", {})
    with kept_under_way(place, ours):
        [dead] = find_dead(place, ours.run_id)
        assert (dead.run.run_id, dead.run.flow, dead.run.parameters) == (dead_id, "score", {"archive": "x"})
        assert f"process {killed.pid}" in dead.where
        assert abs(dead.last_sign - dead.run.started_at) < timedelta(seconds=60)
        forget(place, [dead_id])
        assert not is_known(place, dead_id)
        assert is_known(place, alive_id)
    alive.communicate("")
    forget(place, [alive_id, ours.run_id])
    assert not [name for name in names(under_way_url(place)) if name.endswith(".json")]


def elsewhere(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "host": "another machine"}


def clock_was_set(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """What psutil says on Linux once the clock was set: when the machine started, and so every process."""
    boot, create = psutil.boot_time, psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot() + seconds)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: create(self) + seconds)


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere the start of a process does not move with the clock")
def test_a_live_run_is_not_dead_because_the_clock_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, alive_id = hold(str(tmp_path))
    clock_was_set(monkeypatch, 90.0)
    ours = begin("score", {})
    with kept_under_way(str(tmp_path), ours):
        assert find_dead(str(tmp_path), ours.run_id) == []
    assert is_known(str(tmp_path), alive_id)
    alive.communicate("")


def another_start(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "process_started": record["process_started"] - 100}


@pytest.mark.parametrize(
    ("change", "seconds", "dead"),
    [(elsewhere, 3600.0, False), (elsewhere, 0.0, True), (another_start, 3600.0, True)],
)
def test_other_machines_are_judged_by_silence_and_process_numbers_by_their_start(
    change: Callable[[dict[str, Any]], dict[str, Any]],
    seconds: float,
    dead: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(under_way, "DEAD_SECONDS", seconds)
    workspace, other, ours = str(tmp_path), begin("train", {}), begin("score", {})
    with kept_under_way(workspace, other), kept_under_way(workspace, ours):
        url = under_way_url(workspace, other.run_id)
        write_bytes(url, json.dumps(change(json.loads(read_bytes(url)))).encode())
        os.utime(url, (0, os.stat(under_way_url(workspace, ours.run_id)).st_mtime))  # noqa: PTH116
        assert [one.run.run_id for one in find_dead(workspace, ours.run_id)] == [other.run_id] * dead


def test_a_run_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "BEAT_SECONDS", 0.01)
    run = begin("score", {})
    path = Path(under_way_url(str(tmp_path), run.run_id))
    with kept_under_way(str(tmp_path), run):
        first = path.stat().st_mtime_ns
        while path.stat().st_mtime_ns == first:  # the suite's timeout ends this if no sign ever comes
            pass


DEAD = {
    "run_id": "score-x",
    "flow": "score",
    "started_at": "2026-11-27T02:00:00+00:00",
    "parameters": {},
    "host": "h",
    "system": "s",
    "pid": 1,
    "process_started": 1.0,
}


def odd(**changes: object) -> bytes:
    return json.dumps({**DEAD, **changes}).encode()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{}", b"[1]", b'{"run_id": 3}', b"\xff", b"[" * 100_000, odd() + b" " * under_way.MOST_BYTES),
        odd(run_id="../../precious"),
        odd(run_id="score-y"),
        odd(started_at="2026-11-27T02:00:00"),
        odd(started_at="9999-12-31T23:59:59-23:00"),
        *(odd(flow=None), odd(flow=3), odd(flow="\ud800"), odd(parameters="p")),
        *(odd(pid="one"), odd(pid=-1), odd(pid=2**70), odd(process_started="then")),
    ],
)
def test_what_is_no_record_is_said_and_left_alone(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_way, "DEAD_SECONDS", 0.0)
    workspace, ours = str(tmp_path / "workspace"), begin("score", {})
    write_bytes(str(tmp_path / "precious.json"), b"kept")
    write_bytes(under_way_url(workspace, "score-x"), content)
    with kept_under_way(workspace, ours):
        assert find_dead(workspace, ours.run_id) == []
    assert "score-x.json is ignored: it is not the record of a run" in caplog.text
    assert (tmp_path / "precious.json").exists()


def test_what_is_a_record_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "DEAD_SECONDS", 0.0)
    workspace, ours = str(tmp_path), begin("score", {})
    write_bytes(under_way_url(workspace, "score-x"), odd())
    with kept_under_way(workspace, ours):
        assert [dead.run.run_id for dead in find_dead(workspace, ours.run_id)] == ["score-x"]


def test_no_password_of_what_was_asked_stands_in_the_record(tmp_path: Path) -> None:
    run = begin("score", {"archive": "https://reader:sesame@host/x"})
    with kept_under_way(str(tmp_path), run):
        assert b"https://***@host/x" in read_bytes(under_way_url(str(tmp_path), run.run_id))


def test_what_jobs_hand_to_each_other_goes_with_its_run_alone(place: str) -> None:
    for run_id in ("train-1", "train-10"):
        for name in ("grouped.npz", "grouped/model.onnx"):
            write_bytes(f"{under_way_files_url(place, run_id)}/{name}", b"x")
        write_bytes(under_way_url(place, run_id), b"{}")
    forget_files(place, ["train-1", "train-2"])
    left = ["train-1.json", "train-10.json", "train-10/grouped.npz", "train-10/grouped/model.onnx"]
    assert objects_below(under_way_url(place)) == left


@pytest.mark.parametrize("run_id", ["", ".", "..", "../scores", "a/../..", ".hidden"])
def test_no_name_leads_to_other_files(place: str, run_id: str) -> None:
    """Whoever may write to the workspace can name a record `...json`."""
    kept = [f"{place}/scores/part", under_way_url(place, "train-1"), f"{place}/under_way/.hidden/x"]
    for url in kept:
        write_bytes(url, b"x")
    forget_files(place, [run_id])
    assert [read_bytes(url) for url in kept] == [b"x"] * 3


def test_a_link_is_not_followed_and_does_not_stop_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    (tmp_path / "under_way").mkdir()
    (tmp_path / "under_way" / "train-1").symlink_to(tmp_path / "elsewhere")
    forget_files(str(tmp_path), ["train-1"])
    assert (tmp_path / "elsewhere" / "file").exists()
    assert "under_way/train-1 could not be removed, nobody needs it any more" in caplog.text
