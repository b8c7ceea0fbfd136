"""The drill: a handful of kills of everything there is to kill, and a drill that finds something wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.command import CommandLine

NAIVE = """
import json, sys
from skinml import tables
from skinml.process.crash_points import crash_point
from skinml.records.runs import Counts, as_record, begin
from skinml.schemas import RUNS, SCORES
from skinml.storage.listing import list_images
import pyarrow as pa

workspace, archive = (sys.argv[sys.argv.index(flag) + 1] for flag in ("--workspace", "--archive"))
run = begin("score", {})
print("12:00:00 INFO    run", run.run_id, file=sys.stderr)
known = set(tables.read(workspace, "scores")["uri"].to_pylist())
images = [image for piece in list_images(archive) for image in piece.images.to_pylist()]
new = [image for image in images if image["uri"] not in known]
if new:
    numbers = {name: 0.5 for name in SCORES.names if name.startswith("p_") or name == "confidence"}
    rows = [dict.fromkeys(SCORES.names) | image | numbers | {"run_id": run.run_id} for image in new]
    table = pa.Table.from_pylist(rows, SCORES)
    part = tables.write_part(workspace, "scores", table, run.run_id, {"run_date": "2026-01-01"})
    tables.publish(workspace, "scores", [part], run.run_id)
    crash_point(8)
counts = Counts(len(images), len(known), len(new), 0)
row = pa.Table.from_pylist([as_record(run, "completed", counts)], RUNS)
tables.append(workspace, "runs", row, run.run_id)
printed = {"listed": len(images), "skipped": len(known), "scored": len(new), "quarantined": 0}
print(json.dumps(printed))
"""
"""Scores and then records the run, as one would without a protocol: who dies in between is forgotten."""


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.mark.slow
def test_flow_worker_and_server_are_killed_and_nothing_is_wrong(
    trained: Path, tmp_path: Path, skinml: CommandLine
) -> None:
    before = everything(trained)
    out = tmp_path / "drill"
    arguments = ["drill", "--kills", 4, "--images", 100, "--lanes", 2, "--out", out]
    answer = skinml("--workspace", trained, *arguments)

    assert answer.result["by_point"] == {"flow at 8": 1, "flow at 11": 1, "store at 8": 1, "worker at 4": 1}
    assert answer.result["kills"] == 4
    wrong = ("lost", "doubled", "different", "orphan", "quarantine", "runs", "unexplained")
    assert [answer.result[name] for name in wrong] == [0] * len(wrong)
    assert answer.result["problems"] == []
    assert answer.result["starts"] == 3 + 1 + 1 + 1
    assert everything(trained) == before, "the workspace that has the champion is only read"
    assert sorted(path.name for path in out.iterdir()) == ["archive", "models"], "nothing was kept"
    assert "round 1 on a folder" in answer.stderr
    assert "round 2 on a bucket" in answer.stderr


@pytest.mark.drill
def test_a_program_without_the_protocol_is_found_out(
    trained: Path, tmp_path: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "naive.py"
    script.write_text(NAIVE)
    monkeypatch.setattr("flows.drill.COMMAND", (sys.executable, "-P", str(script)))
    out = tmp_path / "drill"
    arguments = ["drill", "--kills", 1, "--images", 100, "--place", "folder", "--out", out]
    answer = skinml("--workspace", trained, *arguments, expect=1)

    kept = out / "rounds" / "lane-0" / "round-00001"
    assert "WRONG runs: 1 runs with rows in the tables and none in runs: score-" in answer.stderr
    assert f"(kept: {kept / 'workspace'})" in answer.stderr
    assert (kept / "workspace" / "scores").is_dir()
    assert (kept / "1 flow at 8.log").exists()
    result = json.loads(answer.stdout.splitlines()[-1])
    # its rows are of no run in `runs`, and the run that was killed has no row either
    assert (result["kills"], result["runs"], result["lost"]) == (1, 2, 0)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--out", "FULL"], "name a new or empty folder"),
        (["--images", "10"], "--images '10'"),
        (["--place", "moon"], "--place 'moon'"),
        (["--place", "bucket"], "no weed is installed"),
        (["--place", "folder"], "has no champion yet"),
    ],
)
def test_what_cannot_be_drilled_is_refused(
    flags: list[str], words: str, tmp_path: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.drill.find_weed", lambda: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "full.txt").touch()
    flags = [str(tmp_path) if flag == "FULL" else flag for flag in flags]
    answer = skinml("--workspace", tmp_path / "workspace", "drill", *flags, expect=2)
    assert words in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["full.txt"], "nothing was written"
