"""Shadow nights: a challenger scores what a night scores, once, in a table of its own, whatever dies."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import pytest

from flows.drill import COMMAND
from skinml import tables
from skinml.errors import StorageError
from skinml.lab.drill.kills import Scene, one_run
from skinml.lab.drill.places import folder_place
from skinml.lab.drill.plan import Kill, Victim
from skinml.lab.drill.promotion import copy_champion, promote
from skinml.layout import model_url
from skinml.models import registry
from skinml.schemas import PROBABILITY_COLUMNS, SCORES
from skinml.storage.objects import read_bytes, write_bytes
from tasks import shadow as stages
from tests.command import CommandLine
from tests.unit.scoring.test_predict import plain

NEXT = "20990101T000000Z-bbbbbb"
IMAGES = 6
CONTENT = [*PROBABILITY_COLUMNS, "predicted_dx", "p_malignant", "flags", "width", "sha256", "precision"]
"""Columns that are a function of image and network."""

Night = Callable[..., dict[str, Any]]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(IMAGES):
        (folder / f"{number}.bmp").write_bytes(plain(number))
    return folder


@pytest.fixture
def local(trained: Path, tmp_path: Path) -> str:
    """A trained workspace on a folder, with a copy of the champion as the challenger."""
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    copy_champion(workspace, NEXT)
    return workspace


@pytest.fixture
def night(skinml: CommandLine, archive: Path, shared_workers: None) -> Night:
    """A night with a shadow; what it says of it."""

    def run(workspace: str, *flags: object) -> dict[str, Any]:
        asked = ["--workspace", workspace, "score", "--archive", archive, "--max-quarantined", 1, *flags]
        shadow = [] if "--shadow" in flags else ["--shadow", NEXT]
        result: dict[str, Any] = skinml(*asked, *shadow).result
        assert result["listed"] == result["skipped"] + result["scored"] + result["quarantined"]
        found: dict[str, Any] = result["shadow"]
        assert found["model_version"] == NEXT
        return {name: value for name, value in found.items() if value and name != "model_version"}

    return run


def rows_of(workspace: str, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables.read(workspace, table).to_pylist()
    keys = [(row["uri"], row["etag"], row["model_version"]) for row in rows]
    assert len(keys) == len(set(keys)), "no image twice"
    return sorted(rows, key=lambda row: (row["uri"], row["etag"]))


def check_shadow(workspace: str, images: int) -> None:
    """Every image of `scores` is in `shadow_scores` once, in the same words: the challenger is a copy."""
    champion = registry.find(workspace, "champion").version
    rows, shadows = rows_of(workspace, "scores"), rows_of(workspace, "shadow_scores")
    assert len(rows) == len(shadows) == images
    for row, shadow in zip(rows, shadows, strict=True):
        assert [row[name] for name in ("run_id", "run_date", "uri", "etag", "last_modified", *CONTENT)] == [
            shadow[name] for name in ("run_id", "run_date", "uri", "etag", "last_modified", *CONTENT)
        ]
        assert (row["model_version"], shadow["model_version"]) == (champion, NEXT)
    assert {row["model_version"] for row in rows} == {champion}, "never in scores"


def test_a_challenger_scores_what_each_night_scores_once(
    workspace: str, archive: Path, night: Night, skinml: CommandLine
) -> None:
    copy_champion(workspace, NEXT)
    (archive / "broken.bmp").write_bytes(b"BM")
    assert night(workspace) == {"scored": IMAGES, "nights": 1}
    check_shadow(workspace, IMAGES)
    assert night(workspace) == {}
    (archive / "9.bmp").write_bytes(plain(9))
    assert night(workspace) == {"scored": 1, "nights": 1}
    check_shadow(workspace, IMAGES + 1)
    assert tables.read(workspace, "shadow_scores").schema == SCORES

    promote(workspace, NEXT)  # a shadow is no score of a champion
    result = skinml("--workspace", workspace, "score", "--archive", archive, "--backfill").result
    assert (result["scored"], result["shadow"]) == (IMAGES + 1, None)


def test_it_says_how_many_would_change(local: str, archive: Path, night: Night) -> None:
    """A challenger with another network: the first of the diagnoses is taken for the last, and so on."""
    manifest = registry.find(local, NEXT)
    url = model_url(local, manifest.name, NEXT)
    other = _reversed(read_bytes(f"{url}/model.onnx"))
    write_bytes(f"{url}/model.onnx", other)
    said = json.loads(read_bytes(f"{url}/manifest.json"))
    said["files"]["model.onnx"] = {"sha256": hashlib.sha256(other).hexdigest(), "size_bytes": len(other)}
    write_bytes(f"{url}/manifest.json", json.dumps(said).encode())
    found = night(local)
    both = list(zip(rows_of(local, "scores"), rows_of(local, "shadow_scores"), strict=True))
    changed = sum(row["predicted_dx"] != shadow["predicted_dx"] for row, shadow in both)
    malignant = ("akiec", "bcc", "mel")
    crossed = sum(
        (row["predicted_dx"] in malignant) != (shadow["predicted_dx"] in malignant) for row, shadow in both
    )
    assert changed > 0
    assert (found.get("would_change", 0), found.get("would_cross", 0)) == (changed, crossed)


def _reversed(data: bytes) -> bytes:
    """The network with its probabilities in reversed order."""
    model = onnx.load_from_string(data)
    for node in model.graph.node:
        node.output[:] = ["straight" if name == "probabilities" else name for name in node.output]
    order = onnx.numpy_helper.from_array(np.arange(6, -1, -1, dtype=np.int64), "reverse")
    model.graph.initializer.append(order)
    model.graph.node.append(onnx.helper.make_node("Gather", ["straight", "reverse"], ["probabilities"], axis=1))
    found: bytes = model.SerializeToString()
    return found


def test_a_failure_costs_the_shadow_alone_and_the_next_night_does_it(
    local: str, archive: Path, night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:

        def fail(*_: Any) -> int:
            raise StorageError("the disk is full")

        patched.setattr(stages, "publish", fail)
        assert night(local)["problem"] == "the disk is full"
    assert "the shadow of this night failed, the next run with --shadow does it" in caplog.text
    assert len(rows_of(local, "scores")) == IMAGES
    [row] = [row for row in tables.read(local, "runs").to_pylist() if row["flow"] == "score"]
    assert row["status"] == "completed"
    assert night(local) == {"scored": IMAGES, "nights": 1}
    check_shadow(local, IMAGES)


def test_an_image_that_was_replaced_in_between_gets_no_row(
    local: str, archive: Path, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = stages.nights_without_shadow

    def late(*given: Any) -> Any:
        (archive / "0.bmp").write_bytes(plain(77))
        (archive / "1.bmp").unlink()
        return real(*given)

    monkeypatch.setattr(stages, "nights_without_shadow", late)
    assert night(local) == {"scored": IMAGES - 2, "not_scored": 2, "nights": 1}


def test_a_second_champion_in_a_backfill_gives_no_second_shadow(
    local: str, archive: Path, night: Night
) -> None:
    assert night(local) == {"scored": IMAGES, "nights": 1}
    promote(local, copy_champion(local, "20990201T000000Z-cccccc"))
    assert night(local, "--backfill") == {"nights": 1}
    assert len(rows_of(local, "scores")) == 2 * IMAGES
    assert len(rows_of(local, "shadow_scores")) == IMAGES


def test_wrong_shadows_are_refused_in_one_line(local: str, archive: Path, skinml: CommandLine) -> None:
    champion = registry.find(local, "champion").version
    for shadow, words in (
        ("champion", "name a version other than the one that scores the night"),
        (champion, "this version scores the night itself; name another one"),
        ("v2", "--shadow v2: no such version"),
    ):
        answer = skinml("--workspace", local, "score", "--archive", archive, "--shadow", shadow, expect=2)
        [line] = answer.stderr.strip().splitlines()
        assert words in line
    assert tables.version(local, "scores") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", [pytest.param(8, marks=pytest.mark.drill), 37, pytest.param(38, marks=pytest.mark.drill)]
)
def test_a_night_that_dies_gets_its_shadow_from_the_next(
    point: int, local: str, archive: Path, night: Night, tmp_path: Path
) -> None:
    """After its scores are committed; before and after its shadow is."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "shadow.toml").write_text(f'[score]\nshadow = "{NEXT}"\n')
    rng = Random(1)  # noqa: S311 - nothing is drawn
    command = [*COMMAND, "--config", str(tmp_path / "shadow.toml")]
    scene = Scene(folder_place(tmp_path, archive), local, command, 2, tmp_path / "logs", 0.0, 100, rng)
    assert one_run(scene, "1", Kill(Victim.FLOW, point)).hit
    assert len(rows_of(local, "scores")) == IMAGES
    assert night(local) == ({} if point == 38 else {"scored": IMAGES, "nights": 1})
    check_shadow(local, IMAGES)
    assert night(local) == {}
