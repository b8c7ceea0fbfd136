"""The score flow: every image of an archive once, into a table that adds up."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import deltalake
import duckdb
import numpy as np
import pytest

from skinml import tables
from skinml.labels import DIAGNOSES
from skinml.layout import model_url
from skinml.models import registry
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.storage.connection import s3_options
from tests.command import CommandLine

Put = Callable[[str, bytes], None]
Jpeg = Callable[..., bytes]

pytestmark = pytest.mark.usefixtures("shared_workers")


def png_bomb() -> bytes:
    """A PNG whose header promises 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_a_night_scores_every_image_once(
    workspace: str, place: str, put: Put, jpeg: Jpeg, skinml: CommandLine
) -> None:
    archive = f"{place}/archive"
    broken = {
        "empty": b"",
        "truncated": jpeg(1)[:-700],
        "not_an_image": b"<!DOCTYPE html><title>404</title>",
        "too_large": png_bomb(),
        "unsupported_format": b"GIF89a" + bytes(40),
    }
    for number in range(70):
        put(f"{archive}/{number % 3}/image {number}.jpg", jpeg(number))
    for reason, data in broken.items():
        put(f"{archive}/broken/{reason}.jpg", data)
    put(f"{archive}/notes.txt", b"not an image")

    first = skinml("--workspace", workspace, "score", "--archive", archive).result

    assert (first["listed"], first["skipped"], first["scored"], first["quarantined"]) == (75, 0, 70, 5)
    assert first["reasons"] == dict.fromkeys(sorted(broken), 1)
    assert first["ignored"] == 1
    scores = tables.read(workspace, "scores").to_pandas()
    assert len(scores) == 70
    assert not scores.duplicated(["uri", "etag", "model_name", "model_version"]).any()
    assert np.allclose(scores[list(PROBABILITY_COLUMNS)].sum(axis=1), 1, atol=1e-5)
    assert np.allclose(scores["p_malignant"], scores["p_akiec"] + scores["p_bcc"] + scores["p_mel"])
    best = scores[list(PROBABILITY_COLUMNS)].to_numpy().argmax(axis=1)
    assert scores["predicted_dx"].tolist() == [DIAGNOSES[number] for number in best]
    assert (scores["run_id"] == first["run_id"]).all()
    quarantine = tables.read(workspace, "quarantine").to_pandas()
    found = dict(zip(quarantine["uri"].str.extract(r"(\w+)\.jpg$")[0], quarantine["reason"], strict=True))
    assert found == {reason: reason for reason in broken}
    assert (quarantine["flow"] == "score").all()

    second = skinml("--workspace", workspace, "score", "--archive", archive).result
    assert (second["scored"], second["skipped"], second["quarantined"]) == (0, 75, 0)
    assert second["table_version"] == first["table_version"]

    put(f"{archive}/new.jpg", jpeg(100))
    put(f"{archive}/0/image 0.jpg", jpeg(101))  # other bytes under a known name: a new version
    put(f"{archive}/broken/empty.jpg", jpeg(102))  # mended
    third = skinml("--workspace", workspace, "score", "--archive", archive).result
    assert (third["listed"], third["scored"], third["skipped"]) == (76, 3, 73)
    runs = tables.read(workspace, "runs").to_pandas()
    assert (runs["listed"] == runs["skipped"] + runs["done"] + runs["quarantined"]).all()

    rows, keys, worst = read_with_duckdb(workspace)
    assert (rows, keys) == (73, 73)
    assert worst < 1e-5


def read_with_duckdb(workspace: str) -> tuple[int, int, float]:
    """Rows, distinct keys, and the largest distance of a row's probabilities from 1, by a reader not ours."""
    options = s3_options() if workspace.startswith("s3://") else None
    delta = deltalake.DeltaTable(f"{workspace}/scores", storage_options=options).to_pyarrow_dataset()
    total = " + ".join(PROBABILITY_COLUMNS)
    with duckdb.connect() as database:
        database.register("scores", delta)
        answer = database.sql(
            f"SELECT count(*), count(DISTINCT (uri, etag, model_version)), max(abs({total} - 1)) FROM scores"  # noqa: S608
        ).fetchall()[0]
    return int(answer[0]), int(answer[1]), float(answer[2])


def test_one_image_becomes_one_row(trained: Path, tmp_path: Path, jpeg: Jpeg, skinml: CommandLine) -> None:
    """The walk of one image: archive -> flow -> task -> worker -> decode -> predict -> row."""
    from skinml.images.decode import decode
    from skinml.models.session import load_session, predict

    archive = tmp_path / "archive"
    (archive / "deep" / "er").mkdir(parents=True)
    path = archive / "deep" / "er" / "ISIC_0000001.JPG"
    path.write_bytes(jpeg(5, 600, 450))
    workspace = copy(trained, tmp_path)

    skinml("--workspace", workspace, "score", "--archive", archive)

    [row] = tables.read(workspace, "scores").to_pylist()
    assert row["image_id"] == "ISIC_0000001"
    assert row["uri"] == path.as_uri()
    assert row["size_bytes"] == path.stat().st_size
    manifest = registry.find(workspace, "champion")
    url = f"{model_url(workspace, manifest.name, manifest.version)}/model.onnx"
    session = load_session(url, manifest.files["model.onnx"].sha256)
    pixels = decode(path.read_bytes(), manifest.pixels().size, manifest.pixels().decode).pixels
    expected = predict(session, pixels[None])["probabilities"][0]
    assert [row[column] for column in PROBABILITY_COLUMNS] == pytest.approx(expected.tolist(), abs=1e-6)
    assert (row["model_version"], row["confidence"]) == (manifest.version, pytest.approx(expected.max()))


def copy(trained: Path, tmp_path: Path) -> str:
    import shutil

    return str(shutil.copytree(trained, tmp_path / "workspace"))


def test_an_empty_archive_is_a_run_with_zeros(trained: Path, tmp_path: Path, skinml: CommandLine) -> None:
    (tmp_path / "archive").mkdir()
    workspace = copy(trained, tmp_path)
    result = skinml("--workspace", workspace, "score", "--archive", tmp_path / "archive").result
    assert (result["listed"], result["scored"], result["quarantined"]) == (0, 0, 0)
    assert tables.read(workspace, "runs").to_pandas()["flow"].tolist().count("score") == 1


def test_a_model_that_was_changed_or_is_not_there_scores_nothing(
    trained: Path, tmp_path: Path, jpeg: Jpeg, skinml: CommandLine
) -> None:
    workspace = copy(trained, tmp_path)
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(jpeg())
    before = sorted(path for path in Path(workspace).rglob("*"))
    manifest = registry.find(workspace, "champion")
    score = ["--workspace", workspace, "score", "--archive", archive]

    answer = skinml(*score, "--model", "20200101T000000Z-abcdef", expect=2)
    assert "20200101T000000Z-abcdef" in answer.stderr
    assert manifest.version in answer.stderr  # names what is there
    network = Path(model_url(workspace, manifest.name, manifest.version), "model.onnx")
    network.write_bytes(network.read_bytes()[:-1] + b"x")
    answer = skinml(*score, expect=2)
    assert "model.onnx" in answer.stderr
    assert "SHA-256" in answer.stderr
    assert sorted(path for path in Path(workspace).rglob("*")) == before


def test_a_second_model_version_adds_rows_beside_the_first(
    trained: Path, tmp_path: Path, jpeg: Jpeg, skinml: CommandLine
) -> None:
    workspace = copy(trained, tmp_path)
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(jpeg())
    first = registry.find(workspace, "champion")
    folder = Path(model_url(workspace, first.name, first.version))
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name in ("model.onnx", "model.keras"):
        (bundle / name).write_bytes((folder / name).read_bytes())
    kept = first.model_dump(exclude={"version", "class_order", "created_at", "files"})
    second = registry.register(workspace, bundle, {**kept, "version": registry.new_version()})

    for version in ("champion", second.version, second.version):
        skinml("--workspace", workspace, "score", "--archive", archive, "--model", version)
    scores = tables.read(workspace, "scores").to_pandas()
    assert sorted(scores["model_version"]) == sorted([first.version, second.version])
