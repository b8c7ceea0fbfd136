"""The verb organize: one folder per diagnosis, nothing overwritten, nothing lost, and Keras reads it."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest

from skinml.labels import DIAGNOSES
from tests.command import CommandLine
from tests.services.seaweedfs import ObjectStore
from tests.unit.exploration.made import make_workspace, picture, sample, samples_of

COUNTS = ("linked", "copied", "there_already", "missing", "left_out")


def listed_in(folder: Path) -> dict[str, str]:
    """State by file, as the list beside the folders has it."""
    with (folder / "organized.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["state"] for row in csv.DictReader(file)}


def check_counts(result: dict[str, Any], **expected: int) -> None:
    assert {name: result[name] for name in COUNTS} == {name: expected.get(name, 0) for name in COUNTS}
    assert result["listed"] == sum(result[name] for name in COUNTS)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its inode and time of change."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_images_are_linked_by_diagnosis_and_a_repetition_changes_nothing(
    skinml: CommandLine, tmp_path: Path
) -> None:
    rows = samples_of(tmp_path / "images", 20)
    workspace, out = make_workspace(tmp_path / "workspace", rows), tmp_path / "out"
    result = skinml("--workspace", workspace, "organize", "--out", out).result
    check_counts(result, linked=20)
    assert result["files"] == [*(str(out / dx) for dx in DIAGNOSES), str(out / "organized.csv")]
    for row in rows:
        source, target = (
            tmp_path / "images" / f"{row['image_id']}.jpg",
            out / row["dx"] / f"{row['image_id']}.jpg",
        )
        assert source.samefile(target)
    before = tree(out)
    check_counts(skinml("--workspace", workspace, "organize", "--out", out).result, there_already=20)
    check_counts(
        skinml("--workspace", workspace, "organize", "--out", out, "--link", "copy").result, there_already=20
    )
    after = tree(out)
    before.pop("organized.csv")
    after.pop("organized.csv")
    assert after == before


@pytest.mark.slow
def test_keras_reads_the_folders_in_our_order_of_classes(skinml: CommandLine, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    rows = [row for row in samples_of(tmp_path / "images", 20) if row["dx"] != "df"]
    workspace, out = make_workspace(tmp_path / "workspace", rows), tmp_path / "out"
    skinml("--workspace", workspace, "organize", "--out", out)
    read = keras.utils.image_dataset_from_directory(out, image_size=(32, 32), batch_size=64, shuffle=False)
    assert tuple(read.class_names) == DIAGNOSES, "also with a diagnosis that has no image"
    [(pixels, labels)] = [(pixels.numpy(), labels.numpy()) for pixels, labels in read]
    assert pixels.shape == (len(rows), 32, 32, 3)
    assert sorted(labels.tolist()) == sorted(DIAGNOSES.index(row["dx"]) for row in rows)


def test_a_killed_run_is_continued(skinml: CommandLine, tmp_path: Path) -> None:
    rows = samples_of(tmp_path / "images", 10)
    workspace, out = make_workspace(tmp_path / "workspace", rows), tmp_path / "out"
    skinml("--workspace", workspace, "organize", "--out", out, "--link", "copy")
    lost = out / rows[3]["dx"] / f"{rows[3]['image_id']}.jpg"
    data = lost.read_bytes()
    lost.rename(lost.with_name(f".{lost.name}.0a1b2c3d"))  # as one killed before its last step leaves it
    (lost.parent / ".notes.0a1b2c3d").touch()
    (out / "organized.csv").unlink()
    check_counts(
        skinml("--workspace", workspace, "organize", "--out", out, "--link", "copy").result,
        copied=1,
        there_already=9,
    )
    assert lost.read_bytes() == data
    assert [path.name for path in lost.parent.glob(".*")] == [".notes.0a1b2c3d"], "of somebody else"


def test_another_file_of_that_name_is_an_error_before_anything_is_written(
    skinml: CommandLine, tmp_path: Path
) -> None:
    rows = samples_of(tmp_path / "images", 10)
    workspace, out = make_workspace(tmp_path / "workspace", rows), tmp_path / "out"
    other = out / rows[7]["dx"] / f"{rows[7]['image_id']}.jpg"
    other.parent.mkdir(parents=True)
    other.write_bytes(picture(99))
    refused = skinml("--workspace", workspace, "organize", "--out", out, expect=2)
    assert f"1 files are there already and are other files ({rows[7]['dx']}/{other.name})" in refused.stderr
    assert [path for path in out.rglob("*") if path.is_file()] == [other]
    assert other.read_bytes() == picture(99)


def test_what_is_gone_changed_or_may_name_a_patient_is_said(skinml: CommandLine, tmp_path: Path) -> None:
    rows = samples_of(tmp_path / "images", 6)
    rows.append(sample(tmp_path / "images" / "patient.dcm", 6))
    (tmp_path / "images" / "ISIC_0000000.jpg").unlink()
    (tmp_path / "images" / "ISIC_0000001.jpg").write_bytes(picture(50))
    os.utime(tmp_path / "images" / "ISIC_0000002.jpg", (0, 0))  # touched, with the same bytes
    workspace = make_workspace(tmp_path / "workspace", rows)
    for link in ("hard", "copy"):
        out = tmp_path / link
        answer = skinml("--workspace", workspace, "organize", "--out", out, "--link", link)
        check_counts(answer.result, **{"linked" if link == "hard" else "copied": 4}, missing=2, left_out=1)
        assert not list(out.rglob("*.dcm"))
        states = listed_in(out)
        assert (
            states[f"{DIAGNOSES[0]}/ISIC_0000000.jpg"]
            == states[f"{DIAGNOSES[1]}/ISIC_0000001.jpg"]
            == "missing"
        )
        assert states[f"{DIAGNOSES[6]}/patient.dcm"] == "left out"
        assert len(states) == 7


def test_dicom_files_and_missing_images_are_named(
    skinml: CommandLine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [*samples_of(tmp_path / "images", 2), sample(tmp_path / "images" / "patient.dcm", 6)]
    (tmp_path / "images" / "ISIC_0000000.jpg").unlink()
    skinml("--workspace", make_workspace(tmp_path / "workspace", rows), "organize", "--out", tmp_path / "out")
    assert "1 DICOM files are left out, as they can name patients: patient" in caplog.text
    assert "1 images are missing, such as akiec/ISIC_0000000.jpg: No such file" in caplog.text
    assert "3 listed: 1 linked, 0 copied, 0 there already, 1 missing, 1 left out" in caplog.text


def test_two_images_of_one_name_are_told_apart(skinml: CommandLine, tmp_path: Path) -> None:
    rows = [sample(tmp_path / root / "ISIC_1.jpg", number) for number, root in enumerate(("first", "second"))]
    workspace, out = make_workspace(tmp_path / "workspace", rows), tmp_path / "out"
    check_counts(skinml("--workspace", workspace, "organize", "--out", out).result, linked=2)
    images = [path for path in out.rglob("*") if path.suffix == ".jpg"]
    assert {path.read_bytes() for path in images} == {picture(0), picture(1)}
    assert len({path.name for path in images}) == 2


def test_a_corrected_label_is_not_left_under_two_diagnoses(skinml: CommandLine, tmp_path: Path) -> None:
    rows = samples_of(tmp_path / "images", 7)
    out = tmp_path / "out"
    skinml("--workspace", make_workspace(tmp_path / "before", rows), "organize", "--out", out)
    rows[0]["dx"] = "mel"
    corrected = make_workspace(tmp_path / "after", rows)
    refused = skinml("--workspace", corrected, "organize", "--out", out, expect=2)
    assert (
        "1 images are in the folder of another diagnosis than their label (akiec/ISIC_0000000.jpg, now mel)"
        in (refused.stderr)
    )
    (out / "akiec" / "ISIC_0000000.jpg").unlink()
    check_counts(skinml("--workspace", corrected, "organize", "--out", out).result, linked=1, there_already=6)


def test_wrong_folders_are_refused(skinml: CommandLine, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "workspace", samples_of(tmp_path / "images", 3))
    (tmp_path / "file").touch()
    for out, said in (
        (tmp_path / "images" / "organized", "whose images are prepared: they would be listed twice"),
        (tmp_path / "workspace" / "shards" / "x", "where the workspace keeps its own files"),
        (tmp_path / "file", "is a file; give a folder"),
        ("s3://bucket/organized", "give a folder of this machine"),
    ):
        assert said in skinml("--workspace", workspace, "organize", "--out", out, expect=2).stderr
    empty = make_workspace(tmp_path / "empty", [])
    refused = skinml("--workspace", empty, "organize", "--out", tmp_path / "out", expect=2)
    assert "no samples yet; run skinml prepare first" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_links_to_another_disk_are_refused_before_anything_is_written(
    skinml: CommandLine, tmp_path: Path
) -> None:
    other = Path("/dev/shm")  # noqa: S108 - a disk of its own on Linux
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    out = other / f"skinml-test-{os.getpid()}"
    workspace = make_workspace(tmp_path / "workspace", samples_of(tmp_path / "images", 3))
    refused = skinml("--workspace", workspace, "organize", "--out", out, expect=2)
    assert "hard links cannot lead there; give --link copy" in refused.stderr
    assert not out.exists()


def test_images_of_a_bucket_are_copied(
    skinml: CommandLine, tmp_path: Path, opened: ObjectStore, shared_bucket: str
) -> None:
    rows = samples_of(tmp_path / "images", 8)
    for row in rows:
        key = f"{shared_bucket}/organize/{row['image_id']}.JPEG"
        opened.files().pipe_file(key, (tmp_path / "images" / f"{row['image_id']}.jpg").read_bytes())
        row["uri"] = f"s3://{key}"
    workspace, out = make_workspace(tmp_path / "workspace", rows), tmp_path / "out"
    check_counts(skinml("--workspace", workspace, "organize", "--out", out).result, copied=8)
    for number, row in enumerate(rows):
        assert (out / row["dx"] / f"{row['image_id']}.jpg").read_bytes() == picture(number)
