"""An architecture unlike the thesis's goes through all: fit, export, outliers, int8, bundle, scoring.

Other layer names, depthwise convolutions, global pooling, features without places, pixels normalised outside
the network, images cropped to squares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from skinml.evaluation.metrics import measure
from skinml.images.decode import decode
from skinml.images.preprocessing import network_input
from skinml.labels import DIAGNOSES
from skinml.models import registry, zoo
from skinml.models.allowed import network_file
from skinml.models.bundle import HEAD, KERAS, Fit, Made, build_bundle
from skinml.models.head import parse_head, softmax
from skinml.models.inference import infer
from skinml.models.manifest import Manifest
from skinml.models.session import load_session, predict
from skinml.models.zoo.base import Architecture
from skinml.scoring.predict import run_network
from skinml.training.finish import finish
from skinml.training.fit import fit
from skinml.training.results import TRAINING_FEATURES, Finished, FitResult
from tests.unit.training.datasets import KEY, finish_job, fit_job, inputs_of, write_shards

COUNT, SIZE = 210, 24
LABELS = (np.arange(COUNT) % 7).astype(np.int64)
OUTPUTS = ["probabilities", "unlike_training"]


def _build() -> Any:
    import keras

    layers = keras.layers
    pixels = layers.Input((SIZE, SIZE, 3), name="image")
    values = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(pixels)
    values = layers.BatchNormalization(name="stem_norm")(values)
    values = layers.ReLU(6.0, name="stem_relu")(values)
    values = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(values)
    values = layers.ReLU(name="depthwise_relu")(values)
    values = layers.Conv2D(16, 1, name="pointwise")(values)
    values = layers.GlobalAveragePooling2D(name="pooled")(values)
    return keras.Model(pixels, layers.Dense(len(DIAGNOSES), activation="softmax", name="head")(values))


def _architecture(features: str) -> Architecture:
    return Architecture(
        name=f"tiny-{features}",
        size=SIZE,
        build=_build,
        features=features,
        quantisable=("Conv", "Relu", "Clip"),
        licence="MIT",
        normalisation="imagenet",
        aspect="crop",
        cells="pointwise",
    )


@dataclass(frozen=True)
class Trained:
    """One fit of the architecture, finished and registered as v1."""

    workspace: str
    shape: Architecture
    pixels: NDArray[np.uint8]
    fitted: FitResult
    finished: Finished
    folder: Path
    manifest: Manifest


TEST = np.arange(170, COUNT)


def _train(workspace: str, shape: Architecture) -> Trained:
    noise = np.random.default_rng(0).normal(0, 12, (COUNT, SIZE, SIZE, 3))
    pixels = (noise + 30 + 30 * LABELS[:, None, None, None]).clip(0, 255).astype(np.uint8)
    inputs = inputs_of(
        write_shards(workspace, pixels, [120]), LABELS, np.arange(140), np.arange(140, 170), TEST
    )
    job = fit_job(workspace, inputs, architecture=shape.name, epochs=3, export=True)
    fitted = fit(job, Path(workspace, "scratch"), lambda *_: None)
    finishing = finish_job(job, fitted.files["model.onnx"].sha256)
    finished = finish(finishing, Path(workspace, "scratch"))

    folder = Path(workspace, "bundle")
    made = (Made(job.results, {KERAS: fitted.files[KERAS]}), Made(finishing.results, finished.files))
    kept = Fit(
        title="tiny",
        labels=LABELS[TEST],
        probabilities=fitted.probabilities,
        predictions=pa.table({"image_id": TEST.astype(str)}),
        misses=[],
        judged={"metrics": measure(LABELS[TEST], fitted.probabilities)},
        leakage={"image": 0.0, "lesion": 0.0},
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        seconds=fitted.seconds,
    )
    build_bundle(folder, "grouped", made, kept, None, finished.measurements())
    fields = {
        "name": shape.name,
        "version": "v1",
        "run_id": "train-1",
        "protocol": "grouped",
        "preprocessing": zoo.pixels_for(shape.name, None, "fast").to_json(),
        "dataset": {"key": KEY},
        "parameters": {},
        "libraries": fitted.libraries,
        "precisions": finished.precisions,
        "architecture": shape.to_json(),
    }
    manifest = registry.register(workspace, folder, fields)
    return Trained(workspace, shape, pixels, fitted, finished, folder, manifest)


@pytest.fixture(scope="module", params=["pooled", pytest.param("depthwise_relu", marks=pytest.mark.drill)])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """With features that have no places, and with a layer's channel means."""
    with pytest.MonkeyPatch.context() as patched:
        shape = _architecture(request.param)
        patched.setitem(zoo.ARCHITECTURES, shape.name, shape)
        yield _train(str(tmp_path_factory.mktemp("second")), shape)


def test_the_exported_network_is_the_fitted_one(trained: Trained) -> None:
    assert trained.fitted.parity is not None
    assert trained.fitted.parity < 1e-4
    values = network_input(trained.pixels[TEST], "imagenet")
    found = infer(trained.folder / "model.onnx", [values], OUTPUTS)
    np.testing.assert_allclose(found["probabilities"], trained.fitted.probabilities, atol=1e-4)


def test_cells_and_head_are_the_probabilities(trained: Trained) -> None:
    """With global pooling the sum over cells is exact too, and features are their means."""
    results = Path(trained.workspace, "under_way", "tiny", "fit")
    head = parse_head((results / HEAD).read_bytes(), "v1")
    assert head.weights.shape == (1, 1, 16, 7)
    values = network_input(trained.pixels, "imagenet")
    found = infer(trained.folder / "model.onnx", [values], ["cells", "probabilities"])
    assert found["cells"].shape == (COUNT, SIZE // 2, SIZE // 2, 16)
    np.testing.assert_allclose(softmax(head.logits(found["cells"])), found["probabilities"], atol=1e-4)
    with np.load(trained.folder / TRAINING_FEATURES, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["positions"], np.arange(140))
        means = found["cells"].mean(axis=(1, 2))[:140]
        np.testing.assert_allclose(arrays["features"], means, atol=2e-3 * np.abs(means).max())


def test_scoring_asks_for_no_cells(trained: Trained) -> None:
    session = load_session(str(trained.folder / "model.onnx"), trained.manifest.files["model.onnx"].sha256)
    assert "cells" in {output.name for output in session.get_outputs()}
    assert set(predict(session, trained.pixels[:3], "imagenet")) == set(OUTPUTS)


def test_the_distance_is_of_the_layer_that_the_architecture_names(trained: Trained) -> None:
    import keras

    model = keras.models.load_model(trained.folder / KERAS, compile=False)
    layer = keras.Model(model.inputs[0], model.get_layer(trained.shape.features).output)
    values = network_input(trained.pixels, "imagenet")
    features = layer.predict(values, verbose=0).astype(np.float64)
    features = features.mean(axis=(1, 2)) if features.ndim == 4 else features
    from sklearn.covariance import ledoit_wolf

    fitted_on = features[:140]
    precision = np.linalg.inv(ledoit_wolf(fitted_on)[0])
    apart = features - fitted_on.mean(axis=0)
    expected = np.sqrt(np.einsum("ij,jk,ik->i", apart, precision, apart))
    found = infer(trained.folder / "model.onnx", [values], OUTPUTS)["unlike_training"]
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_images_unlike_the_training_images_are_further_away(trained: Trained) -> None:
    session = load_session(str(trained.folder / "model.onnx"), trained.manifest.files["model.onnx"].sha256)
    usual = predict(session, trained.pixels[TEST], "imagenet")["unlike_training"]
    noise = np.random.default_rng(3).integers(0, 256, (40, SIZE, SIZE, 3), dtype=np.uint8)
    assert np.median(predict(session, noise, "imagenet")["unlike_training"]) > usual.max()


def test_int8_takes_the_operators_that_the_architecture_names(trained: Trained) -> None:
    int8 = trained.finished.precisions["int8"]
    assert (int8.file, int8.failure) == ("model-int8.onnx", None)
    assert int8.agreement is not None
    assert int8.agreement > 0.7
    graph = onnx.load(trained.folder / "model-int8.onnx").graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 3
    for node in convolutions:
        assert made_by[node.input[0]] == made_by[node.input[1]] == "DequantizeLinear"
    for node in graph.node:
        if node.op_type in {"MatMul", "Gemm", "ReduceL2", "GlobalAveragePool"} and node.input[0] in made_by:
            assert "dense" not in node.name or made_by[node.input[1]] != "DequantizeLinear"


def test_an_image_is_scored_as_it_was_fitted_on(trained: Trained, jpeg: Any) -> None:
    """The manifest says crop and normalisation, and scoring does both."""
    manifest = registry.find(trained.workspace, "v1")
    how = manifest.pixels()
    assert (how.size, how.aspect, how.normalisation) == (SIZE, "crop", "imagenet")
    assert manifest.architecture["licence"] == "MIT"
    data = registry.read_verified(trained.workspace, manifest, network_file(manifest, "fp32"))
    session = load_session(
        f"{trained.workspace}/models/{manifest.name}/v1/model.onnx", manifest.files["model.onnx"].sha256
    )
    pixels = decode(jpeg(4, 300, 200), how.size, how.decode, how.colour, how.aspect).pixels
    [found] = run_network(session, pixels[None], how.normalisation)["probabilities"]
    [expected] = infer(data, [network_input(pixels[None], "imagenet")], ["probabilities"])["probabilities"]
    np.testing.assert_array_equal(found, expected)
    [raw] = run_network(session, pixels[None])["probabilities"]
    assert np.abs(raw - found).max() > 0.01, "without its normalisation it is another score"
