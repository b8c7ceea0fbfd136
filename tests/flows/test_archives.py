"""Archives as people name and fill them: one spelling, never the workspace, and nothing that stops a night."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from skinml import tables
from skinml.storage.urls import file_uri, is_remote
from tests.command import CommandLine
from tests.conftest import MadeUp

Put = Callable[[str, bytes], None]
Jpeg = Callable[..., bytes]

pytestmark = pytest.mark.usefixtures("shared_workers")


def spellings(place: str, name: str) -> list[str]:
    """Other ways to name a folder or prefix below a place."""
    found = [f"{place}/{name}/", f"{place}//{name}/./", f"{place}/nothing/../{name}"]
    if not is_remote(place):
        (Path(place) / "a link").symlink_to(name)
        relative = os.path.relpath(f"{place}/a link")
        found += [
            relative,
            f"{place}/a link",
            file_uri(f"{place}/{name}"),
            f"file://localhost{place}/a%20link/",
        ]
    return found


def test_an_archive_is_scored_once_however_it_is_spelled(
    workspace: str, place: str, put: Put, jpeg: Jpeg, skinml: CommandLine
) -> None:
    for number in range(3):
        put(f"{place}/archive/{number}.jpg", jpeg(number))
    ways = spellings(place, "archive")
    others = spellings(place, "workspace") if is_remote(place) else [f"{place}/x/../workspace//"]
    assert skinml("--workspace", workspace, "score", "--archive", ways[0]).result["scored"] == 3
    for spelled, way in zip(others * len(ways), ways, strict=False):
        again = skinml("--workspace", spelled, "score", "--archive", way).result
        assert (again["listed"], again["skipped"], again["scored"]) == (3, 3, 0), way
    scores = tables.read(workspace, "scores")
    base = place if is_remote(place) else file_uri(place)
    assert sorted(scores["uri"].to_pylist()) == [f"{base}/archive/{number}.jpg" for number in range(3)]


def test_the_workspace_is_never_part_of_the_archive(
    workspace: str, place: str, put: Put, jpeg: Jpeg, skinml: CommandLine, made_up: MadeUp
) -> None:
    """It lies inside the archive; the archive lies inside it; both are one."""
    put(f"{place}/a.jpg", jpeg(1))
    put(f"{workspace}/reports/run/figures/figure.png", jpeg(2))
    put(f"{workspace}/images/b.jpg", jpeg(3))
    inside = skinml("--workspace", workspace, "score", "--archive", place)
    assert (inside.result["listed"], inside.result["scored"]) == (1, 1)
    assert inside.result["passed_over"]["in the workspace"] >= 1
    assert f"the workspace {workspace} is inside the archive {place} and is left out" in inside.stderr

    below = skinml("--workspace", workspace, "score", "--archive", f"{workspace}/images").result
    assert (below["listed"], below["scored"]) == (1, 1)
    same = skinml("--workspace", workspace, "score", "--archive", workspace)
    assert (same.result["listed"], same.result["skipped"]) == (1, 1)
    assert "its own folders (samples, scores, " in same.stderr

    before = tables.version(workspace, "runs")
    for verb in (["score", "--archive"], ["prepare", "--metadata", made_up.metadata, "--images"]):
        asked = f"{workspace}/images/../reports/run"
        refused = skinml("--workspace", workspace, *verb, asked, expect=2).stderr.splitlines()[-1]
        assert refused.startswith(f"skinml: {workspace}/reports/run: is inside {workspace}/reports, where")
    assert tables.version(workspace, "runs") == before


def test_what_looks_like_an_image_and_is_none_of_ours_is_said(
    workspace: str, place: str, put: Put, jpeg: Jpeg, skinml: CommandLine
) -> None:
    archive = f"{place}/archive"
    for name in ("a.jfif", "b.JPE", "c.pjpeg", "IMG_1.HEIC", "d.dicom", "nameless", "notes.txt"):
        put(f"{archive}/{name}", jpeg(1))
    answer = skinml("--workspace", workspace, "score", "--archive", archive)
    assert (answer.result["listed"], answer.result["scored"], answer.result["ignored"]) == (3, 3, 4)
    assert answer.result["passed_over"] == {".dicom": 1, ".heic": 1, "no suffix": 1, "other": 1}
    assert (
        f"{archive}: passed over 2 files in image formats that are not supported (1 .dicom, 1 .heic)"
        in answer.stderr
    )
    assert "passed over 1 file without a suffix" in answer.stderr


def test_a_folder_that_cannot_be_listed_and_links_do_not_stop_a_night(
    trained: Path, tmp_path: Path, jpeg: Jpeg, skinml: CommandLine
) -> None:
    archive, workspace = tmp_path / "archive", tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "models").symlink_to(trained / "models")
    archive.mkdir()
    for number in range(8):
        (archive / f"{number}.jpg").write_bytes(jpeg(number))
    deep = os.open(archive, os.O_RDONLY)
    for _ in range(21):  # longer than the system allows
        os.mkdir("d" * 200, dir_fd=deep)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = deeper
    os.close(deep)
    (archive / "secrets.jpg").symlink_to("/etc/shadow")
    (archive / "again.jpg").symlink_to("1.jpg")

    asked = ("--workspace", workspace, "score", "--archive", archive)
    for scored, skipped in ((8, 0), (0, 8)):
        answer = skinml(*asked)  # the second night has no new image: the folder is all there is
        assert (answer.result["listed"], answer.result["scored"], answer.result["skipped"]) == (
            9,
            scored,
            skipped,
        )
        assert answer.result["reasons"] == {"read_error": 1}
        assert answer.result["passed_over"] == {"link out of the archive": 1, "link to a listed image": 1}
    assert "passed over 1 link out of the archive" in answer.stderr
    assert "File name too long" in tables.read(str(workspace), "quarantine")["detail"][0].as_py()

    again = skinml("--workspace", workspace, "quarantine", "replay").result
    assert (again["still_quarantined"], again["scored"], again["quarantined"]) == (1, 0, 0)


def test_roots_of_prepare_are_one_however_often_they_are_named(
    made_up: MadeUp, tmp_path: Path, skinml: CommandLine
) -> None:
    (tmp_path / "link").symlink_to(made_up.roots[0].parent)
    through = tmp_path / "link" / made_up.roots[0].name
    twice = ("--images", made_up.roots[0], "--images", through, "--images", f"file://{made_up.roots[0]}/.")
    asked = ("--workspace", tmp_path / "workspace", "prepare", "--metadata", made_up.metadata, "--size", 32)
    first = skinml(*asked, *twice).result
    assert first["listed"] == first["prepared"]
    again = skinml(*asked, "--images", through).result
    assert (again["listed"], again["skipped"], again["prepared"]) == (first["listed"], first["listed"], 0)
    assert first["passed_over"].keys() <= {"other"}
