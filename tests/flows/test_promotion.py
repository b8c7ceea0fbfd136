"""Nights, backfills, rechecks and replays after a promotion: nothing is scored again that need not be."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from flows.drill import COMMAND
from skinml import tables
from skinml.lab.drill.kills import Scene, one_run
from skinml.lab.drill.places import folder_place
from skinml.lab.drill.plan import RECORDED, Kill, Victim
from skinml.lab.drill.promotion import copy_champion, promote
from skinml.models import registry
from skinml.records.unpublished import record_urls
from tests.command import CommandLine
from tests.unit.scoring.test_predict import plain

Score = Callable[..., dict[str, Any]]

IMAGES = 6
NEXT, LATER = "20990101T000000Z-bbbbbb", "20990201T000000Z-cccccc"


@pytest.fixture
def local(trained: Path, tmp_path: Path) -> str:
    """A trained workspace on a folder."""
    return str(shutil.copytree(trained, tmp_path / "workspace"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(IMAGES):
        (folder / f"{number}.bmp").write_bytes(plain(number))
    return folder


@pytest.fixture
def score(skinml: CommandLine, archive: Path, shared_workers: None) -> Score:
    """A run over the archive: the counts that are not 0, of all but skipped images."""

    def night(workspace: str, *flags: object) -> dict[str, Any]:
        asked = ["--workspace", workspace, "score", "--archive", archive, "--max-quarantined", 1, *flags]
        result = skinml(*asked).result
        assert result["listed"] == result["skipped"] + result["scored"] + result["quarantined"]
        names = ("scored", "quarantined", "changed", "remembered", "scored_by_earlier_champions")
        return {name: result[name] for name in names if result[name]}

    return night


def by_version(workspace: str) -> Counter[str]:
    """Rows of `scores` by model version; there are never two with one key."""
    rows = tables.read(workspace, "scores").to_pylist()
    keys = [(row["uri"], row["etag"], row["model_name"], row["model_version"]) for row in rows]
    assert len(keys) == len(set(keys))
    return Counter(row["model_version"] for row in rows)


def new_images(archive: Path, *numbers: int) -> None:
    for number in numbers:
        (archive / f"{number}.bmp").write_bytes(plain(number))


def replace(path: Path, data: bytes) -> None:
    """Other bytes under the same size and modification time."""
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_promotion_scores_nothing_again_and_a_backfill_adds_the_rest_in_pieces(
    workspace: str, archive: Path, score: Score, caplog: pytest.LogCaptureFixture
) -> None:
    first = registry.find(workspace, "champion").version
    assert score(workspace) == {"scored": IMAGES}
    promote(workspace, copy_champion(workspace, NEXT))
    caplog.clear()
    assert score(workspace) == {"scored_by_earlier_champions": IMAGES}
    line = "6 images already scored by an earlier champion: skipped; score --backfill adds rows of"
    assert f"{line} {NEXT}" in caplog.messages
    new_images(archive, 6, 7)
    assert score(workspace) == {"scored": 2, "scored_by_earlier_champions": IMAGES}
    assert by_version(workspace) == {first: IMAGES, NEXT: 2}

    assert score(workspace, "--backfill", "--limit", 4) == {"scored": 4}
    assert score(workspace) == {"scored_by_earlier_champions": 2}, "a night between two pieces"
    assert score(workspace, "--backfill", "--limit", 4) == {"scored": 2}
    assert score(workspace, "--backfill") == {}
    assert score(workspace) == {}
    assert by_version(workspace) == {first: IMAGES, NEXT: IMAGES + 2}

    promote(workspace, first)
    assert score(workspace) == {"scored_by_earlier_champions": 2}
    assert score(workspace, "--backfill") == {"scored": 2}
    assert by_version(workspace) == {first: IMAGES + 2, NEXT: IMAGES + 2}


def test_a_backfill_scores_what_nobody_has_scored_too(local: str, archive: Path, score: Score) -> None:
    assert score(local) == {"scored": IMAGES}
    promote(local, copy_champion(local, NEXT))
    new_images(archive, 6)
    assert score(local, "--backfill") == {"scored": IMAGES + 1}
    assert score(local) == {}


def test_a_named_version_scores_all_that_it_has_not_scored(local: str, archive: Path, score: Score) -> None:
    """Also if it is the champion. Once it is promoted, its rows count as a champion's."""
    first = registry.find(local, "champion").version
    copy_champion(local, NEXT)
    assert score(local, "--limit", 4) == {"scored": 4}
    assert score(local, "--model", NEXT) == {"scored": IMAGES}
    assert score(local) == {"scored": 2}, "a challenger's rows do not count"
    promote(local, NEXT)
    new_images(archive, 6)
    assert score(local) == {"scored": 1}
    promote(local, copy_champion(local, LATER))
    assert score(local) == {"scored_by_earlier_champions": IMAGES + 1}
    assert score(local, "--model", LATER) == {"scored": IMAGES + 1}
    assert by_version(local) == {first: IMAGES, NEXT: IMAGES + 1, LATER: IMAGES + 1}


def test_a_recheck_after_a_promotion_scores_only_what_has_changed(
    local: str, archive: Path, score: Score
) -> None:
    first = registry.find(local, "champion").version
    assert score(local) == {"scored": IMAGES}
    promote(local, copy_champion(local, NEXT))
    replace(archive / "3.bmp", plain(77))
    found = score(local, "--recheck")
    assert found == {"scored": 1, "changed": 1, "scored_by_earlier_champions": IMAGES}
    assert score(local, "--recheck") == {"scored_by_earlier_champions": IMAGES - 1}
    assert by_version(local) == {first: IMAGES, NEXT: 1}
    [changed] = [row for row in tables.read(local, "scores").to_pylist() if row["model_version"] == NEXT]
    assert "+sha256:" in changed["etag"]
    replace(archive / "3.bmp", plain(3))
    assert score(local, "--recheck") == {"scored_by_earlier_champions": IMAGES - 1}, "an earlier champion knows"
    assert score(local, "--backfill") == {"scored": IMAGES - 1}
    assert score(local, "--recheck") == {}


def test_bytes_that_an_earlier_champion_has_scored_are_known_under_a_new_etag(
    local: str, archive: Path, score: Score
) -> None:
    first = registry.find(local, "champion").version
    assert score(local) == {"scored": IMAGES}
    promote(local, copy_champion(local, NEXT))
    for number in range(2):
        os.utime(archive / f"{number}.bmp", ns=(0, 10**9 * (number + 1)))
    assert score(local) == {"remembered": 2, "scored_by_earlier_champions": IMAGES - 2}
    assert set(tables.read(local, "known_etags")["model_version"].to_pylist()) == {first}
    assert score(local) == {"scored_by_earlier_champions": IMAGES}
    assert score(local, "--backfill") == {"scored": IMAGES}, "the new champion has not scored these bytes"
    os.utime(archive / "0.bmp", ns=(0, 10**9 * 9))
    assert score(local, "--backfill") == {"remembered": 1}
    assert score(local) == score(local, "--recheck") == score(local, "--backfill") == {}
    assert by_version(local) == {first: IMAGES, NEXT: IMAGES}


def test_a_replay_scores_with_the_present_champion(
    local: str, archive: Path, score: Score, skinml: CommandLine
) -> None:
    mended = archive / "2.bmp"
    good = mended.read_bytes()
    replace(mended, b"x" * len(good))
    assert score(local) == {"scored": IMAGES - 1, "quarantined": 1}
    promote(local, copy_champion(local, NEXT))
    loop = archive / "loop.bmp"
    loop.symlink_to(loop)
    replace(mended, good)
    assert score(local) == {"quarantined": 1, "scored_by_earlier_champions": IMAGES - 1}
    loop.unlink()
    asked = ["--workspace", local, "quarantine", "replay"]
    replayed = skinml(*asked).result
    assert [replayed[name] for name in ("listed", "skipped", "scored", "gone")] == [2, 1, 1, 1]
    assert score(local) == {"scored_by_earlier_champions": IMAGES - 1}
    assert by_version(local)[NEXT] == 1


def test_the_health_of_a_backfill_is_told_from_a_nights(
    local: str, archive: Path, score: Score, skinml: CommandLine
) -> None:
    assert score(local) == {"scored": IMAGES}
    promote(local, copy_champion(local, NEXT))
    assert score(local, "--backfill") == {"scored": IMAGES}
    rows = sorted(tables.read(local, "runs").to_pylist(), key=lambda row: row["started_at"])
    nights = [row for row in rows if row["flow"] == "score"]
    assert [json.loads(row["parameters"])["backfill"] for row in nights] == [False, True]
    assert nights[1]["health"] == nights[0]["health"]
    assert nights[1]["model_version"] == NEXT


@pytest.mark.parametrize(
    ("flags", "named"),
    [(["--model", NEXT], f"--model {NEXT}"), (["--recheck"], "--recheck")],
)
def test_what_does_not_go_with_a_backfill_is_refused(
    local: str, archive: Path, skinml: CommandLine, flags: list[str], named: str
) -> None:
    copy_champion(local, NEXT)
    answer = skinml("--workspace", local, "score", "--archive", archive, "--backfill", *flags, expect=2)
    [line] = answer.stderr.strip().splitlines()
    assert "--backfill" in line
    assert named in line
    assert tables.version(local, "scores") is None


# Dying


@pytest.fixture
def scene(local: str, archive: Path, tmp_path: Path) -> Scene:
    """Runs as processes of their own."""
    (tmp_path / "logs").mkdir()
    rng = Random(1)  # noqa: S311 - nothing is drawn
    return Scene(folder_place(tmp_path, archive), local, COMMAND, 2, tmp_path / "logs", 0.0, 100, rng)


@pytest.fixture
def backfill(scene: Scene, tmp_path: Path) -> Scene:
    """The same, and the runs are backfills."""
    (tmp_path / "backfill.toml").write_text("[score]\nbackfill = true\n")
    return dataclasses.replace(scene, command=[*COMMAND, "--config", str(tmp_path / "backfill.toml")])


@pytest.mark.slow
def test_what_an_earlier_champion_left_unfinished_is_scored_by_the_present_one(
    scene: Scene, local: str, score: Score
) -> None:
    first = registry.find(local, "champion").version
    assert one_run(scene, "1", Kill(Victim.FLOW, 6)).hit
    promote(local, copy_champion(local, NEXT))
    assert score(local) == {"scored": IMAGES}
    assert by_version(local) == {NEXT: IMAGES}
    assert score(local, "--model", first) == {"scored": IMAGES}, "its own rows can still be taken over"
    assert by_version(local) == {first: IMAGES, NEXT: IMAGES}
    assert record_urls(local) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [
        RECORDED,
        pytest.param(6, marks=pytest.mark.drill),
        8,
        pytest.param(9, marks=pytest.mark.drill),
    ],
)
def test_a_backfill_that_dies_goes_on_whatever_nights_come_between(
    backfill: Scene, local: str, archive: Path, score: Score, point: int
) -> None:
    first = registry.find(local, "champion").version
    assert score(local) == {"scored": IMAGES}
    promote(local, copy_champion(local, NEXT))
    assert one_run(backfill, "1", Kill(Victim.FLOW, point)).hit
    committed = point >= 8 and point != RECORDED
    new_images(archive, 6)
    night = score(local)
    assert night.pop("scored_by_earlier_champions", 0) == (0 if committed else IMAGES)
    assert night == {"scored": 1}
    last = one_run(backfill, "2").account.result
    assert last is not None
    assert last["scored"] == (0 if committed else IMAGES)
    if point == 6:
        assert last["resumed"] == IMAGES, "the night between has left the backfill's records"
    assert by_version(local) == {first: IMAGES, NEXT: IMAGES + 1}
    assert record_urls(local) == []
    runs = tables.read(local, "runs").to_pylist()
    assert all(row["listed"] == row["skipped"] + row["done"] + row["quarantined"] for row in runs)
