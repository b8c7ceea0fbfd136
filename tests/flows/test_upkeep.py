"""The verbs after the night: quarantine, export and compact, on the command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.cli.main import main
from skinml import tables
from skinml.scoring.publish_scores import publish_night, unfinished_runs
from skinml.storage.urls import file_uri
from tests.command import CommandLine
from tests.unit.scoring.test_publish_scores import fill, night

Jpeg = Callable[..., bytes]

pytestmark = pytest.mark.usefixtures("shared_workers")


def test_a_night_worked_up(
    trained: Path, tmp_path: Path, jpeg: Jpeg, skinml: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Score, look at what is in quarantine, mend it, replay, export, compact; every row stays where it is."""
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    archive = tmp_path / "archive"
    archive.mkdir()
    for number in range(4):
        (archive / f"{number}.jpg").write_bytes(jpeg(number))
    (archive / "empty.jpg").write_bytes(b"")
    whole = jpeg(9)
    hurt = archive / "hurt.jpg"
    hurt.write_bytes(b"no" + whole[2:])  # as a file that a network disk gave wrongly
    status = hurt.stat()
    ours = ["--workspace", workspace]
    night = skinml(*ours, "score", "--archive", archive, "--max-quarantined", "50%").result
    assert (night["scored"], night["quarantined"]) == (4, 2)

    listed = skinml(*ours, "quarantine").result
    assert listed["images"] == 2
    assert [(row["reason"], row["images"], row["tries"]) for row in listed["rows"]] == [
        ("empty", 1, 1),
        ("not_an_image", 1, 1),
    ]
    one = skinml(*ours, "quarantine", "list", "--images", "--reason", "empty", "--run", night["run_id"]).result
    [row] = one["rows"]
    assert (row["uri"], row["run_id"]) == (file_uri(str(archive / "empty.jpg")), night["run_id"])
    assert main([*map(str, ours), "quarantine"]) == 0
    counted, _, *table = capsys.readouterr().out.splitlines()
    assert counted.split() == ["images", "2"]
    assert table[0].split()[:4] == ["flow", "reason", "images", "uris"]
    assert table[1].startswith("score  empty")
    assert row["uri"] in table[1]

    hurt.write_bytes(whole)
    os.utime(hurt, ns=(status.st_atime_ns, status.st_mtime_ns))
    replayed = skinml(*ours, "quarantine", "replay").result
    counts = ("listed", "skipped", "replayed", "scored", "quarantined", "still_quarantined", "gone", "replaced")
    assert [replayed[name] for name in counts] == [2, 1, 2, 1, 0, 1, 0, 0]
    assert replayed["reasons"] == {"empty": 1}
    assert sum(row["images"] for row in replayed["rows"]) == 2, "what was tried"
    assert [row["reason"] for row in skinml(*ours, "quarantine").result["rows"]] == ["empty"]
    runs = tables.read(str(workspace), "runs").to_pandas().set_index("run_id")
    row = runs.loc[replayed["run_id"]]
    assert (row["flow"], row["listed"], row["skipped"], row["done"], row["quarantined"]) == (
        "replay",
        2,
        1,
        1,
        0,
    )
    again = skinml(*ours, "score", "--archive", archive, "--workers", 1).result
    assert (again["listed"], again["skipped"], again["scored"]) == (6, 6, 0)

    before = tables.read(str(workspace), "scores").sort_by("uri")
    dry = skinml(*ours, "compact", "--dry-run").result
    assert (dry["dry_run"], dry["tables"]["scores"]["small_files"]) == (True, 2)
    assert len(tables.snapshot(str(workspace), "scores").files) == 2
    compacted = skinml(*ours, "compact").result
    assert (compacted["tables"]["scores"]["files_before"], compacted["tables"]["scores"]["files_after"]) == (
        2,
        1,
    )
    assert compacted["tables"]["runs"]["files_after"] == 1
    assert tables.read(str(workspace), "scores").sort_by("uri").equals(before)
    runs = tables.read(str(workspace), "runs").to_pandas().set_index("run_id")
    assert len(runs) == 6
    assert runs.loc[compacted["run_id"], ["flow", "status", "listed"]].tolist() == ["compact", "completed", 0]

    for run, rows in ((night, 4), (replayed, 1), (again, 0)):
        out = tmp_path / f"{run['run_id']}.parquet"
        exported = skinml(*ours, "export", "--run", run["run_id"], "--out", out)
        assert [exported.result[key] for key in ("run_id", "rows", "file")] == [run["run_id"], rows, str(out)]
        assert pq.read_table(out).num_rows == rows
        assert "not a medical device" in exported.stderr
    worklist = tmp_path / "worklist.csv"
    chosen = ("--sort", "p_malignant", "--top", 2, "--columns", "image_id,p_malignant")
    latest = skinml(*ours, "export", "--latest", "--out", worklist, *chosen)
    assert latest.result["run_id"] == replayed["run_id"], "the newest run that has rows, which `again` has not"
    assert f"--latest is run {replayed['run_id']}; 1 later run has scored nothing" in latest.stderr
    assert worklist.read_text(encoding="utf-8").startswith('"image_id","p_malignant","model_version","health"')
    assert json.loads(Path(latest.result["about"]).read_text(encoding="utf-8"))["rows"] == 1
    refused = skinml(*ours, "export", "--run", compacted["run_id"], "--out", tmp_path / "a.csv", expect=2)
    assert again["run_id"] in refused.stderr.splitlines()[-1], "names the latest that can be exported"
    assert not (tmp_path / "a.csv").exists()


def test_compact_finishes_a_dead_run_before_its_parts_could_look_spare(
    tmp_path: Path, skinml: CommandLine
) -> None:
    place, workspace = str(tmp_path), str(tmp_path / "workspace")
    fill(place)
    dead = night(place, "score-20260102T020000Z-00dead", tmp_path)
    log = Path(workspace, "quarantine", "_delta_log")
    log.write_bytes(b"in the way")  # the quarantine cannot be committed: the run dies after its scores
    with pytest.raises(Exception, match="quarantine"):
        publish_night(workspace, dead)
    log.unlink()
    assert len(unfinished_runs(workspace)) == 1
    for path in Path(workspace).rglob("*.parquet"):
        os.utime(path, (1, 1))
    nothing = tables.read(workspace, "quarantine")
    other = tables.write_part(workspace, "quarantine", nothing, "score-20260101T020000Z-0befae-0")
    unneeded = Path(workspace, "quarantine", other.path)
    os.utime(unneeded, (1, 1))
    Path(workspace, "runs").mkdir()  # as after any run

    result = skinml("--workspace", workspace, "compact").result

    assert unfinished_runs(workspace) == []
    assert tables.read(workspace, "quarantine").num_rows == 2
    assert result["tables"]["quarantine"]["vacuumed"] == 1
    assert not unneeded.exists()
    runs = tables.read(workspace, "runs").to_pandas()
    assert set(runs["flow"]) == {"score", "compact"}
