"""The verb explain: from a row of `scores` to a page, pictures and values, whatever has happened since."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from skinml import tables
from skinml.labels import DIAGNOSES
from skinml.layout import model_url
from skinml.models import registry
from skinml.models.head import parse_head, softmax
from skinml.schemas import SCORES
from skinml.storage.objects import names, read_bytes
from tests.command import CommandLine
from tests.conftest import HOSTILE_NAME, MadeUp
from tests.unit.explanation.made import publish_scores

Put = Callable[[str, bytes], None]
Jpeg = Callable[..., bytes]

FILES = ["index.html", "image.png", "activation.png", "occlusion.png", "nearest.png", "explanation.json"]


def values(workspace: object, files: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read_bytes(files[-1]))
    return found


def check_page(page: str) -> None:
    """It needs nothing but itself: no script, no other file, no address."""
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("Research use only: skinml is not a medical device.") >= 2
    assert "<script" not in page.lower()
    assert not re.search(r"https?://", page)
    for source in re.findall(r'src="([^"]{0,40})', page):
        assert source.startswith("data:image/png;base64,")
    assert "not where the lesion is" in page or "There are no maps" in page


def test_a_row_is_explained_on_a_folder_and_in_a_bucket(
    workspace: str, place: str, put: Put, made_up: MadeUp, skinml: CommandLine, shared_workers: None
) -> None:
    samples = tables.read(workspace, "samples").to_pandas()
    known = samples[samples["split"] == "train"].iloc[0]
    put(f"{place}/archive/known.jpg", Path(str(known["uri"]).removeprefix("file://")).read_bytes())
    skinml("--workspace", workspace, "score", "--archive", f"{place}/archive")
    result = skinml("--workspace", workspace, "explain", "known").result

    [row] = tables.read(workspace, "scores").to_pylist()
    assert [file.rsplit("/", 1)[-1] for file in result["files"]] == FILES
    folder = f"{workspace}/reports/{row['run_id']}/explain-known"
    assert all(file.startswith(f"{folder}/") for file in result["files"])
    assert sorted(names(folder)) == sorted(FILES)
    assert (result["dx"], result["bytes"]) == (row["predicted_dx"], "same")
    usual = (
        "No grey square changes the answer",
        "The occlusion map is nearly the same",
    )  # it was fitted for one epoch
    assert not [note for note in result["notes"] if not note.startswith(usual)]
    for file in result["files"][1:-1]:
        with Image.open(io.BytesIO(read_bytes(file))) as picture:
            assert picture.format == "PNG"
            assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 20
    page = read_bytes(result["files"][0]).decode()
    check_page(page)
    for text in (row["run_id"], row["model_version"], row["sha256"], "bicubic", "the lesion of this image"):
        assert text in page

    found = values(workspace, result["files"])
    assert found["difference"] < 1e-6
    assert found["training"]["this_image"]["lesion_id"] == known["lesion_id"]
    assert found["training"]["version"] == tables.version(workspace, "samples")
    assert found["file"] == tables.files_with(workspace, "scores", tables_where(row))[0]
    nearest = found["nearest"][0]
    assert (nearest["lesion_id"], nearest["dx"]) == (known["lesion_id"], known["dx"])
    assert nearest["distance"] < 0.01
    assert result["nearest"][0]["distance"] == nearest["distance"]


def tables_where(row: dict[str, Any]) -> Any:
    import pyarrow.compute as pc

    return pc.field("uri") == row["uri"]


def test_cells_and_bias_are_the_probabilities_of_the_row(
    night: Path, scored: Path, skinml: CommandLine
) -> None:
    """On real network output: a diagnosis's map with its bias sums to its centred logit, known from the row."""
    for name in ("mel", "nv"):
        out = night.parent / name
        result = skinml("--workspace", night, "explain", "fresh", "--dx", name, "--out", out).result
        found = values(night, result["files"])
        activation, row = found["activation"], found["row"]
        logits = np.log([row[f"p_{one}"] for one in DIAGNOSES])
        assert found["dx"] == name
        assert np.shape(activation["cells"]) == (2, 2)
        total = np.sum(activation["cells"]) + activation["bias"]
        assert activation["score"] == pytest.approx(total, abs=1e-9)
        assert total == pytest.approx(logits[DIAGNOSES.index(name)] - logits.mean(), abs=1e-3)
        change = np.array(found["occlusion"]["change"])
        assert change.shape == (32, 32)
        assert (found["occlusion"]["patch"], found["occlusion"]["stride"]) == (8, 2)


def test_a_head_gives_the_probabilities_of_every_test_image(trained: Path) -> None:
    import onnxruntime

    workspace = str(trained)
    manifest = registry.find(workspace, "champion")
    head = parse_head(registry.read_verified(workspace, manifest, "head.npz"), manifest.version)
    pixels = np.load(next(trained.glob("shards/*/shard-00000.npy")), allow_pickle=False).astype(np.float32)
    for network in ("model.onnx",):
        session = onnxruntime.InferenceSession(registry.read_verified(workspace, manifest, network))
        cells, probabilities = session.run(["cells", "probabilities"], {"pixels": pixels})
        np.testing.assert_allclose(softmax(head.logits(cells)), probabilities, atol=1e-4)


def test_a_hostile_name_is_escaped_and_its_folder_is_plain(night: Path, skinml: CommandLine) -> None:
    result = skinml("--workspace", night, "explain", HOSTILE_NAME).result
    page = Path(result["files"][0]).read_text(encoding="utf-8")
    check_page(page)
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;&#34;" in page
    folder = Path(result["files"][0]).parent
    assert re.fullmatch(r"explain-_img_src_x_onerror_alert_1____-[0-9a-f]{12}", folder.name)
    assert folder.parent.parent == night / "reports"


@pytest.mark.parametrize("change", ["changed", "missing"])
def test_an_image_that_is_not_what_was_scored_has_everything_but_the_maps(
    change: str, scored: Path, tmp_path: Path, skinml: CommandLine, jpeg: Jpeg
) -> None:
    workspace = str(shutil.copytree(scored, tmp_path / "workspace"))
    [row] = [one for one in tables.read(workspace, "scores").to_pylist() if one["image_id"] == "known"]
    image = tmp_path / "elsewhere.jpg"
    if change == "changed":
        image.write_bytes(jpeg(5))
    publish_scores(workspace, row | {"uri": f"file://{image}", "image_id": "elsewhere"})
    answer = skinml("--workspace", workspace, "explain", "elsewhere")
    assert answer.result["bytes"] == change
    assert [Path(file).name for file in answer.result["files"]] == ["index.html", "explanation.json"]
    assert answer.result["notes"][0].startswith("The image")
    assert answer.result["notes"][0] in answer.stderr
    page = Path(answer.result["files"][0]).read_text(encoding="utf-8")
    check_page(page)
    assert row["model_version"] in page
    assert "The model was made with this image (split train)" in page, "the row's own hash still says so"


def test_a_bundle_from_before_has_occlusion_and_says_what_is_missing(
    night: Path, skinml: CommandLine, tmp_path: Path
) -> None:
    workspace = str(night)
    manifest = registry.find(workspace, "champion")
    folder = tmp_path / "bundle"
    folder.mkdir()
    network = onnx.load_from_string(registry.read_verified(workspace, manifest, "model.onnx"))
    [cells] = [output for output in network.graph.output if output.name == "cells"]
    network.graph.output.remove(cells)
    onnx.save(network, folder / "model.onnx")
    dropped = {"class_order", "created_at", "files", "precisions", "version"}
    registry.register(workspace, folder, {**manifest.model_dump(exclude=dropped), "version": "old"})
    [row] = [one for one in tables.read(workspace, "scores").to_pylist() if one["image_id"] == "known"]
    publish_scores(workspace, row | {"model_version": "old", "sha256": None})
    result = skinml("--workspace", workspace, "explain", "known", "--model", "old").result
    assert [Path(file).name for file in result["files"]] == [
        "index.html", "image.png", "occlusion.png", "explanation.json"
    ]  # fmt: skip
    assert result["bytes"] == "unknown"
    assert any(
        "no class activation map" in note and "no nearest training lesions" in note for note in result["notes"]
    )
    assert [other["model_version"] for other in result["others"]] == [manifest.version]


@pytest.mark.parametrize(
    ("file", "missing", "left"),
    [
        ("head.npz", "There is no class activation map", {"occlusion.png", "nearest.png"}),
        (
            "training-features.parquet",
            "There are no nearest training lesions",
            {"activation.png", "occlusion.png"},
        ),
        ("model.onnx", "There are no maps", {"image.png"}),
        ("manifest.json", "There are no maps", set()),
    ],
)
def test_a_file_of_the_bundle_that_was_changed_is_not_believed(
    file: str, missing: str, left: set[str], night: Path, skinml: CommandLine
) -> None:
    manifest = registry.find(str(night), "champion")
    path = Path(model_url(str(night), manifest.name, manifest.version), file)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    result = skinml("--workspace", night, "explain", "known").result
    found = {Path(file).name for file in result["files"]}
    assert any(note.startswith(missing) and "\n" not in note for note in result["notes"]), result["notes"]
    assert left <= found
    assert ("activation.png" in found) == ("activation.png" in left)
    assert ("nearest.png" in found) == ("nearest.png" in left)


def test_a_model_or_a_shard_that_was_deleted_is_said(night: Path, skinml: CommandLine) -> None:
    for shard in night.glob("shards/*/shard-*.npy"):
        shard.unlink()
    result = skinml("--workspace", night, "explain", "known").result
    assert any(note.startswith("There are no thumbnails") for note in result["notes"])
    assert result["nearest"]
    assert "nearest.png" not in {Path(file).name for file in result["files"]}
    shutil.rmtree(night / "models")
    result = skinml("--workspace", night, "explain", "known").result
    assert any(note.startswith("There are no maps") and "no such version" in note for note in result["notes"])
    assert result["model_version"]


def test_the_files_go_to_a_new_folder_or_replace_those_of_the_same_row(
    night: Path, tmp_path: Path, skinml: CommandLine
) -> None:
    out = tmp_path / "out"
    result = skinml("--workspace", night, "explain", "known", "--out", out).result
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    assert not list(night.glob("reports/*/explain-*"))
    answer = skinml("--workspace", night, "explain", "known", "--out", out, expect=2)
    assert "is not empty; give a new or empty folder" in answer.stderr
    answer = skinml("--workspace", night, "explain", "known", "--out", out / "index.html", expect=2)
    assert "is a file" in answer.stderr
    first = skinml("--workspace", night, "explain", "known").result
    second = skinml("--workspace", night, "explain", "known").result
    assert first["files"] == second["files"]
    assert result["nearest"] == second["nearest"], "the same each time"


def test_two_images_of_one_name_in_one_run_have_folders_of_their_own(night: Path, skinml: CommandLine) -> None:
    workspace = str(night)
    [row] = [one for one in tables.read(workspace, "scores").to_pylist() if one["image_id"] == "known"]
    publish_scores(workspace, row | {"uri": "file:///somewhere/known.jpg"})
    found = [
        skinml("--workspace", night, "explain", uri).result
        for uri in (row["uri"], "file:///somewhere/known.jpg")
    ]
    assert {one["bytes"] for one in found} == {"same", "missing"}
    assert Path(found[0]["files"][0]).parent != Path(found[1]["files"][0]).parent
    assert [one["others"][0]["uri"] for one in found] == ["file:///somewhere/known.jpg", row["uri"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["knwn"], "knwn: no row of scores has this image_id (3 do); did you mean known?"),
        (["<script>"], "<script>: no row of scores has this image_id"),
        ([""], "is not an image_id"),
        (["known", "--model", "v7"], "--model v7: it has not scored known"),
        (["known", "--run", "score-7"], "--run score-7: no run of score or replay"),
        (["known", "--dx", "cancer"], "dx"),
        ([], "image_id"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line_and_nothing_is_written(
    arguments: list[str], message: str, night: Path, skinml: CommandLine
) -> None:
    before = sorted(night.rglob("*"))
    answer = skinml("--workspace", night, "explain", *arguments, expect=2)
    assert message in answer.stderr.splitlines()[-1]
    assert sorted(night.rglob("*")) == before


def test_rows_of_an_older_skinml_or_of_another_writer_are_explained(night: Path, skinml: CommandLine) -> None:
    """Columns that were added later are null."""
    workspace = str(night)
    [row] = [one for one in tables.read(workspace, "scores").to_pylist() if one["image_id"] == "known"]
    late = SCORES.names[SCORES.names.index("precision") :]
    publish_scores(workspace, row | {"image_id": "older", **dict.fromkeys(late)})
    publish_scores(
        workspace, row | {"image_id": "odd", "predicted_dx": "scc", "p_mel": float("nan"), "flags": None}
    )
    assert skinml("--workspace", night, "explain", "older").result["bytes"] == "unknown"
    result = skinml("--workspace", night, "explain", "odd").result
    assert result["dx"] in DIAGNOSES
    check_page(Path(result["files"][0]).read_text(encoding="utf-8"))


def test_a_row_of_int8_is_compared_with_int8_and_mapped_in_fp32(night: Path, skinml: CommandLine) -> None:
    """This int8 may not score, so its probabilities are not computed again; the rest is there."""
    workspace = str(night)
    [row] = [one for one in tables.read(workspace, "scores").to_pylist() if one["image_id"] == "known"]
    publish_scores(workspace, row | {"image_id": "coarse", "precision": "int8"})
    result = skinml("--workspace", workspace, "explain", "coarse").result
    notes = " ".join(result["notes"])
    assert "scored in int8; the maps are of the same network in fp32" in notes
    assert "The probabilities were not computed again: --precision int8" in notes
    assert [Path(file).name for file in result["files"]] == FILES


def test_a_test_image_is_not_called_one_that_the_fit_has_seen(night: Path, skinml: CommandLine) -> None:
    workspace = str(night)
    samples = tables.read(workspace, "samples").to_pylist()
    sample = next(one for one in samples if one["split"] == "test")
    [row] = [one for one in tables.read(workspace, "scores").to_pylist() if one["image_id"] == "known"]
    changes = {name: sample[name] for name in ("image_id", "uri", "etag", "size_bytes", "sha256")}
    publish_scores(workspace, row | changes)
    result = skinml("--workspace", workspace, "explain", sample["image_id"]).result
    page = Path(result["files"][0]).read_text(encoding="utf-8")
    assert "one of the model&#39;s test images" in page or "one of the model's test images" in page
    assert "The model was made with this image" not in page
    assert any("differs by" in note for note in result["notes"]), "these are the probabilities of another image"


BASE_ONLY = """
import sys
for name in ("tensorflow", "keras", "sklearn", "scipy", "matplotlib", "onnx", "prefect", "distributed"):
    sys.modules[name] = None  # importing it fails
from flows.cli.main import main
sys.exit(main(["--workspace", sys.argv[1], "--json", "explain", "known", "--out", sys.argv[2]]))
"""


def test_it_needs_nothing_but_the_base_install(night: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", BASE_ONLY, str(night), str(tmp_path / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
