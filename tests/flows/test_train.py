"""The train flow: a registered version whose files, hashes, figures and metrics can be relied on."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from PIL import Image

from skinml import tables
from skinml.dataset.pixelstore import open_pixels
from skinml.dataset.shard_files import map_shards
from skinml.labels import DIAGNOSES
from skinml.layout import model_url, under_way_files_url
from skinml.models import registry
from skinml.monitoring.reference import parse_reference
from skinml.storage.objects import names, read_bytes, write_bytes
from tests.command import CommandLine
from tests.conftest import MadeUp
from tests.unit.records.test_under_way import hold

FIGURES = {"loss.png", "accuracy.png", "confusion_matrix.png", "misclassified.png", "roc.png"}
FIGURES |= {"precision_recall.png", "reliability.png", "subgroups.png", "worst_misses.png"}


def test_a_version_is_whole_hashed_and_champion(trained: Path) -> None:
    workspace = str(trained)
    manifest = registry.find(workspace, "champion")
    folder = Path(model_url(workspace, manifest.name, manifest.version))

    assert manifest.class_order == DIAGNOSES
    assert (manifest.name, manifest.protocol) == ("thesis-cnn", "grouped")
    assert manifest.preprocessing == {"size": 32, "decode": "fast", "filter": "bicubic", "colour": "srgb"}
    assert manifest.parameters["trainable_parameters"] == 384_455
    assert manifest.dataset["version"] == tables.version(workspace, "samples")
    assert {"keras", "tensorflow", "onnxruntime", "numpy"} <= set(manifest.libraries)
    assert manifest.architecture["features"] == "pool_1"
    assert (manifest.architecture["licence"], manifest.architecture["weights"]) == ("Apache-2.0", None)
    assert not list(trained.glob("under_way/*")), "what jobs hand to each other goes with the run"
    expected = {"model.keras", "model.onnx", "model-int8.onnx", "reference.json", "metrics.json"}
    expected |= {"predictions.parquet", "head.npz", "training-features.parquet"}
    expected |= {"card.md", "card.html"}
    expected |= {f"figures/{name}" for name in FIGURES}
    assert set(manifest.files) == expected
    for name, file in manifest.files.items():
        data = (folder / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (file.sha256, file.size_bytes)
    for name in FIGURES:
        with Image.open(folder / "figures" / name) as figure:
            assert min(figure.size) > 300

    metrics = json.loads((folder / "metrics.json").read_text())
    samples = tables.read(workspace, "samples").to_pandas()
    assert metrics["metrics"]["images"] == (samples["split"] == "test").sum()
    assert metrics["leakage"] == {"image": 0.0, "lesion": 0.0}
    for name in ("accuracy", "balanced_accuracy", "macro_auc", "melanoma_sensitivity"):
        assert 0 <= metrics["metrics"][name] <= 1
        low, high = metrics["intervals"][name]
        assert 0 <= low <= metrics["metrics"][name] <= high <= 1
    assert metrics["lesions"] == samples.loc[samples["split"] == "test", "lesion_id"].nunique()
    assert set(metrics["subgroups"]) == {"sex", "age", "localization", "source", "skin_tone"}
    assert set(metrics["subgroups"]["source"]) == set(samples.loc[samples["split"] == "test", "source"])
    assert {"risk_coverage", "conformal", "agreement", "notes"} <= metrics.keys()


def test_a_bare_prepare_makes_what_a_bare_train_reads(trained: Path) -> None:
    """Nothing was decoded twice: there is one dataset, of one shard, which `prepare` named in its row."""
    [dataset] = (trained / "shards").iterdir()
    assert dataset.name == "32px-fast-bicubic-srgb-npy"
    assert sorted(path.name for path in dataset.iterdir()) == ["index.parquet", "shard-00000.npy"]


def test_the_registered_network_gives_the_metrics_that_were_written_down(trained: Path) -> None:
    """The ONNX file alone, on the test pixels, reproduces the accuracy in metrics.json."""
    workspace = str(trained)
    manifest = registry.find(workspace, "champion")
    metrics = json.loads(registry.read_verified(workspace, manifest, "metrics.json"))
    samples = tables.read(workspace, "samples").to_pandas()
    store = open_pixels(workspace, manifest.dataset["key"], "npy", samples)
    pixels = np.concatenate(map_shards(workspace, store.dataset_key, "npy", store.shards, trained))
    test = store.samples.loc[store.samples["split"] == "test", "position"].to_numpy()
    session = onnxruntime.InferenceSession(registry.read_verified(workspace, manifest, "model.onnx"))
    [probabilities] = session.run(["probabilities"], {"pixels": pixels[test].astype(np.float32)})
    accuracy = (probabilities.argmax(axis=1) == store.labels[test]).mean()
    assert accuracy == pytest.approx(metrics["metrics"]["accuracy"], abs=1e-9)


def test_each_precision_is_measured_on_the_same_test_images(trained: Path) -> None:
    workspace = str(trained)
    manifest = registry.find(workspace, "champion")
    metrics = json.loads(registry.read_verified(workspace, manifest, "metrics.json"))
    fp32, int8 = manifest.precisions["fp32"], manifest.precisions["int8"]
    assert metrics["precisions"] == {
        "fp32": fp32.model_dump(mode="json"),
        "int8": int8.model_dump(mode="json"),
    }
    assert (fp32.file, int8.file) == ("model.onnx", "model-int8.onnx")
    assert fp32.images == int8.images == metrics["metrics"]["images"]
    assert fp32.balanced_accuracy == pytest.approx(metrics["metrics"]["balanced_accuracy"])
    assert int8.agreement is not None
    assert int8.agreement > 0.8
    size = {name: manifest.files[name].size_bytes for name in ("model.onnx", "model-int8.onnx")}
    assert size["model-int8.onnx"] < 0.5 * size["model.onnx"]


def test_the_reference_is_of_the_lesions_that_were_held_out(trained: Path) -> None:
    workspace = str(trained)
    manifest = registry.find(workspace, "champion")
    reference = parse_reference(registry.read_verified(workspace, manifest, "reference.json"), manifest.version)
    samples = tables.read(workspace, "samples").to_pandas()
    held_out = samples[samples["split"] != "train"]
    assert reference.held_out is True
    for precision in ("fp32", "int8"):
        usual = reference.of(precision, manifest.version)
        assert usual.images == len(held_out)
        megapixels = (held_out["width"] * held_out["height"] / 1e6).mean()
        assert usual.measures["megapixels"].mean == pytest.approx(megapixels)
        assert sum(usual.predicted) == len(held_out)


@pytest.mark.slow
@pytest.mark.usefixtures("jobs_here")
@pytest.mark.parametrize("place", ["bucket"], indirect=True)  # two fits; `trained` was fitted on a folder
def test_the_thesis_protocol_shows_its_leak_and_the_honest_figure(
    place: str, made_up: MadeUp, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 200 of each class instead of 500: how many, and which ones, is shown in the last test here."""
    monkeypatch.setattr("skinml.training.protocols.THESIS_PER_CLASS", 200)
    monkeypatch.setattr("skinml.training.protocols.HONEST_PER_CLASS", 150)
    workspace = f"{place}/workspace"
    flags = ["--size", 32, "--decode", "exact", "--format", "parquet"]
    skinml("--workspace", workspace, "prepare", *made_up.flags(), *flags)
    result = skinml("--workspace", workspace, "train", "--protocol", "thesis", "--epochs", 1).result

    manifest = registry.find(workspace, result["model_version"])
    assert manifest.preprocessing == {"size": 32, "decode": "exact", "filter": "bicubic"}
    assert manifest.dataset["key"] == "32px-exact-bicubic-parquet"  # taken as it is there
    assert (manifest.parameters["batch_size"], manifest.parameters["epochs"]) == (16, 1)
    assert result["metrics"]["images"] == 350  # a quarter of 7 x 200 rows
    assert result["leakage"]["image"] > 0.9  # 140 images drawn 1,400 times
    samples = tables.read(workspace, "samples").to_pandas()
    assert result["honest"]["images"] == (samples["split"] == "test").sum()
    assert {"figures/loss.png", "figures/honest/loss.png"} <= set(manifest.files)
    # 140 images drawn 1,050 times leave none out: the test rows are the reference, and it says so
    assert parse_reference(registry.read_verified(workspace, manifest, "reference.json"), "v").held_out is False
    assert result["precisions"]["fp32"]["images"] == 350
    metrics = json.loads(read_bytes(f"{model_url(workspace, manifest.name, manifest.version)}/metrics.json"))
    assert metrics["honest"]["metrics"]["accuracy"] == result["honest"]["accuracy"]

    run = tables.read(workspace, "runs").to_pandas().set_index("flow").loc["train"]
    assert (run["status"], run["model_version"]) == ("completed", manifest.version)


@pytest.mark.usefixtures("jobs_here")
def test_a_later_version_does_not_take_the_crown(trained: Path, tmp_path: Path, skinml: CommandLine) -> None:
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    champion = registry.find(workspace, "champion").version
    process, run_id = hold(workspace)
    process.kill()
    process.communicate()
    write_bytes(f"{under_way_files_url(workspace, run_id)}/grouped/model.onnx", b"of a run that was killed")
    result = skinml("--workspace", workspace, "train", "--epochs", 1, "--batch-size", 128).result
    assert result["decoded"] == 0
    assert result["model_version"] != champion
    assert registry.find(workspace, "champion").version == champion
    assert registry.versions(workspace) == sorted([champion, result["model_version"]])
    assert names(f"{workspace}/under_way") == []


def test_what_cannot_be_trained_on_is_refused_and_nothing_written(
    made_up: MadeUp, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = tmp_path / "workspace"
    answer = skinml("--workspace", workspace, "train", expect=2)
    assert "run skinml prepare first" in answer.stderr
    assert not workspace.exists()

    text = made_up.metadata.read_text().splitlines()
    without_vasc = [line for line in text if ",vasc," not in line]
    (tmp_path / "m.csv").write_text("\n".join(without_vasc))
    roots = [part for root in made_up.roots for part in ("--images", root)]
    skinml("--workspace", workspace, "prepare", *roots, "--metadata", tmp_path / "m.csv")
    before = sorted(path for path in workspace.rglob("*"))
    for protocol in ("grouped", "thesis"):
        answer = skinml("--workspace", workspace, "train", "--protocol", protocol, expect=2)
        assert "vasc" in answer.stderr.splitlines()[-1]
    answer = skinml("--workspace", workspace, "train", "--model", "resnet-9000", expect=2)
    assert "resnet-9000" in answer.stderr
    assert "thesis-cnn" in answer.stderr  # names what there is
    assert sorted(path for path in workspace.rglob("*")) == before


def test_the_thesis_recipe_draws_what_the_thesis_script_draws(made_up: MadeUp, trained: Path) -> None:
    """Against the thesis's own lines, run on the same metadata: pandas, sklearn, in metadata order."""
    from sklearn.model_selection import train_test_split
    from sklearn.utils import resample

    from skinml.training.protocols import thesis

    frame = pd.read_csv(io.BytesIO(made_up.metadata.read_bytes()))
    drawn = pd.concat(
        resample(frame[frame["dx"] == dx], replace=True, n_samples=500, random_state=42) for dx in DIAGNOSES
    )
    train, test = train_test_split(drawn["image_id"].to_numpy(), test_size=0.25, random_state=42)

    samples = tables.read(str(trained), "samples").to_pandas()
    recipe = thesis(samples.assign(position=np.arange(len(samples))))
    image_ids = samples["image_id"].to_numpy()
    assert image_ids[recipe.train].tolist() == train.tolist()
    assert image_ids[recipe.test].tolist() == test.tolist()
