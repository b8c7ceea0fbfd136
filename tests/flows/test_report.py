"""The verb `report`, and the page that `score` writes: on folder and bucket, of empty nights, if it fails."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skinml import tables
from skinml.monitoring.health import DRIFTED
from skinml.monitoring.reference import describe
from skinml.records.runs import Counts, Run, run_row
from skinml.report.night.found import read_model
from skinml.storage.objects import exists, read_bytes, write_bytes
from tests.command import CommandLine
from tests.conftest import HOSTILE_NAME
from tests.unit.report.night.made_up import STARTED, add_night, probabilities
from tests.unit.scoring.made_up_images import draw


def _page(url: str) -> str:
    return read_bytes(url).decode()


def test_a_night_writes_its_page_and_report_makes_it_again(
    workspace: str, scored: Path, skinml: CommandLine, shared_workers: None
) -> None:
    archive = scored.parent / "scored-archive"
    result = skinml("--workspace", workspace, "score", "--archive", archive).result
    page = _page(result["report"])
    assert result["report"] == f"{workspace}/reports/{result['run_id']}/index.html"
    assert "3 listed = 0 skipped + 3 scored + 0 quarantined" in page
    assert page.count('<img class="thumb" width="96" height="72" alt="Image ') >= 3
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;&#34;" in page
    assert HOSTILE_NAME not in page
    assert "Balanced accuracy" in page, "the card in short"
    assert "of 50 new lesions until retraining" in page
    assert result["run_id"] in _page(f"{workspace}/reports/index.html")

    again = skinml("--workspace", workspace, "report").result
    assert again["files"] == [result["report"], f"{workspace}/reports/index.html"]
    assert _page(again["files"][0]) == page, "the same night gives the same page"


def test_the_page_can_be_left_out_and_its_failure_is_a_warning(
    night: Path, skinml: CommandLine, shared_workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = night.parent / "more"
    shutil.copytree(night.parent, archive, ignore=lambda *_: ["workspace"])
    arguments = ("--workspace", night, "score", "--archive", archive)
    result = skinml(*arguments, "--no-report").result
    assert result["report"] is None
    assert not exists(f"{night}/reports/{result['run_id']}/index.html")

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("tasks.report.write_night", full)
    answer = skinml(*arguments)
    assert answer.result["report"] is None
    assert f"skinml report --run {answer.result['run_id']} tries again" in answer.stderr
    [row] = (
        tables.read(str(night), "runs")
        .to_pandas()
        .query("run_id == @answer.result['run_id']")
        .to_dict("records")
    )
    assert row["status"] == "completed"


def test_a_workspace_without_a_night_and_runs_that_have_no_page_are_refused(
    tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = str(tmp_path)
    failed = Run("score-failed", "score", STARTED, {})
    tables.append(workspace, "runs", run_row(failed, "failed", Counts(), None, "storage"), failed.run_id)
    answer = skinml("--workspace", workspace, "report", expect=2)
    assert "has no completed run of score yet; run skinml score first" in answer.stderr
    answer = skinml("--workspace", workspace, "report", "--run", "score-failed", expect=2)
    assert "--run score-failed: this run failed, so it has no page" in answer.stderr
    assert (
        "no run of score or replay" in skinml("--workspace", workspace, "report", "--run", "x", expect=2).stderr
    )
    assert not (tmp_path / "reports").exists(), "nothing was written"


@pytest.mark.parametrize(
    ("quarantined", "skipped", "said"),
    [
        (0, 0, "The archive had no images."),
        (0, 7, "No image was scored: all listed images were scored or set aside before."),
        (4, 0, "No image was scored: all new images are in the quarantine."),
    ],
)
def test_a_night_without_a_scored_image_has_a_page_that_says_why(
    quarantined: int, skipped: int, said: str, tmp_path: Path, skinml: CommandLine
) -> None:
    add_night(str(tmp_path / "w"), tmp_path / "archive", 0, quarantined=quarantined, skipped=skipped)
    page = _page(skinml("--workspace", tmp_path / "w", "report").result["files"][0])
    assert said in page
    assert ("Copy the file again from where it came from." in page) == bool(quarantined)
    assert "<script" not in page


def test_a_night_after_a_larger_one_and_outcomes_that_have_come(
    trained: Path, tmp_path: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An estimate on a usual night, none on a drifted one; realised sensitivities of past months."""
    for module in ("skinml.report.night.found", "skinml.monitoring.estimated_performance"):
        monkeypatch.setattr(f"{module}.FEWEST_IMAGES", 20)  # the session's model has held out 40
    usual = describe(draw(np.random.default_rng(0), 500))  # and its reference of two bins knows no range
    monkeypatch.setattr(
        "skinml.report.night.night.read_model", lambda *about: replace(read_model(*about), usual=usual)
    )
    workspace = str(shutil.copytree(trained, tmp_path / "w"))
    version = next((trained / "models" / "thesis-cnn").iterdir()).name
    first = add_night(workspace, tmp_path / "a", 80, version=version, health="usual", pictures=False)
    dark = [0.0 if number == 33 else 0.6 for number in range(70)]
    detail = json.dumps({"sentence": "do not trust", "measures": [{"measure": "brightness", "drifted": True}]})
    drifted = add_night(
        workspace,
        tmp_path / "b",
        70,
        version=version,
        health=DRIFTED,
        health_detail=detail,
        days=1,
        pictures=False,
        brightness=dark,
    )
    asked = Run("evaluate-1", "evaluate", STARTED, {"outcomes": True})
    tables.append(workspace, "runs", run_row(asked, "completed", Counts(9, 0, 9, 0)), asked.run_id)
    month = {"month": "2026-10", "model_version": "v", "images": 9, "scored": 80, "melanoma_sensitivity": 0.75,
             "malignant_sensitivity": None, "intervals": {"melanoma_sensitivity": [0.4, 0.9]}}  # fmt: skip
    write_bytes(f"{workspace}/reports/evaluate-1/metrics.json", json.dumps({"months": [month]}).encode())

    page = _page(skinml("--workspace", workspace, "report", "--run", first.run_id).result["files"][0])
    assert re.search(r"Estimated balanced accuracy of this night: <strong>0\.\d\d</strong>", page)
    assert "It assumes that a probability means the same" in page
    assert "0.75 (0.40 to 0.90)" in page
    assert "80 images have no picture" in page

    page = _page(skinml("--workspace", workspace, "report").result["files"][0])
    assert "No estimate: this night has drifted" in page
    assert "Estimated balanced accuracy" not in page
    strip = page[page.index("The images that drifted most") :]
    assert strip.index("ISIC_0000033") < strip.index("brightness (0 to 1) 0;") < strip.index("</ol>")
    index = _page(f"{workspace}/reports/index.html")
    assert first.run_id in index
    assert drifted.run_id in index


@pytest.mark.drill
def test_fifty_thousand_images_make_a_page_within_its_budget(
    tmp_path: Path, skinml: CommandLine, jpeg: Callable[..., bytes]
) -> None:
    """6 MB for the page; sprites beside it. Its time is measured by hand: docs/reports.md."""
    count = 50_000
    assert len(probabilities(count)) == count
    add_night(str(tmp_path / "w"), tmp_path / "archive", count)
    [page, *_] = skinml("--workspace", tmp_path / "w", "report").result["files"]
    assert Path(page).stat().st_size < 6_000_000
    assert len(list((Path(page).parent / "sprites").iterdir())) == (count - 2000) // 100
