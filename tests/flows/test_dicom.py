"""DICOM in a night and in `prepare`: photographs become rows, and nothing of the patient leaves the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydicom import uid

from skinml import tables
from tests.command import CommandLine
from tests.unit.images.dicoms import CT, PATIENT, compressed, jpeg, native, photograph, wrapped

pytestmark = pytest.mark.usefixtures("shared_workers")

MARKS = [part.encode() for part in PATIENT.split("^")]


def make(folder: Path) -> None:
    folder.mkdir()
    files = {
        "plain": native(photograph(seed=1)),
        "jpeg": wrapped(jpeg(photograph(seed=2))),
        "j2k": compressed(photograph(seed=3), uid.JPEG2000Lossless),
        "cut": native(photograph(seed=4))[:-2_000],
        "ct": native(photograph()[..., 0], "MONOCHROME2", SOPClassUID=CT),
        "name": native(photograph(), PATIENT[:16]),
    }
    for name, data in files.items():
        (folder / f"{name}.dcm").write_bytes(data)


def assert_no_patient(workspace: Path, *said: str) -> None:
    """In no byte of a workspace, in no row of a compressed file, in nothing that was said."""
    for path in (one for one in workspace.rglob("*") if one.is_file()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                data += repr((file.schema_arrow.metadata, file.read().to_pydict())).encode()
        for mark in MARKS:
            assert mark not in data, path
    assert not [text for text in said for mark in MARKS if mark.decode() in text]


def test_a_night_of_dicom(
    trained: Path, tmp_path: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, archive = tmp_path / "workspace", tmp_path / "archive"
    make(archive)
    workspace.mkdir()
    (workspace / "models").symlink_to(trained / "models")
    ours = ["--workspace", workspace]
    night = skinml(*ours, "score", "--archive", archive, "--max-quarantined", "60%")
    counts = ("listed", "scored", "quarantined", "ignored")
    assert [night.result[key] for key in counts] == [6, 3, 3, 0]
    assert night.result["reasons"] == {"truncated": 1, "unsupported_format": 2}
    scores = tables.read(str(workspace), "scores").to_pandas()
    assert sorted(scores["image_id"]) == ["j2k", "jpeg", "plain"]
    assert set(zip(scores["width"], scores["height"], strict=True)) == {(96, 72)}
    listed = skinml(*ours, "quarantine", "list", "--images")

    metadata = tmp_path / "metadata.csv"
    rows = [
        f"lesion {number},{name},nv,histo,50,male,back" for number, name in enumerate(("plain", "jpeg.dcm"))
    ]
    metadata.write_text("lesion_id,image_id,dx,dx_type,age,sex,localization\n" + "\n".join(rows) + "\n")
    prepared = skinml(
        *ours, "prepare", "--images", archive, "--metadata", metadata, "--size", 32, "--max-quarantined", "1"
    )
    assert prepared.result["prepared"] == 2
    shards = [np.load(path) for path in workspace.glob("shards/**/*.npy")]
    assert sum(len(shard) for shard in shards if shard.ndim == 4) == 2
    assert_no_patient(workspace, night.stderr, night.stdout, listed.stdout, prepared.stderr, prepared.stdout)


@pytest.mark.usefixtures("without_dicom")
def test_a_night_without_the_extra_passes_dicom_over_and_says_how_to_read_it(
    trained: Path, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace, archive = tmp_path / "workspace", tmp_path / "archive"
    make(archive)
    workspace.mkdir()
    (workspace / "models").symlink_to(trained / "models")
    night = skinml("--workspace", workspace, "score", "--archive", archive)
    assert (night.result["listed"], night.result["passed_over"]) == (0, {".dcm": 6})
    assert "passed over 6 .dcm files: to use them, pip install 'skinml[dicom]' on this machine" in night.stderr
