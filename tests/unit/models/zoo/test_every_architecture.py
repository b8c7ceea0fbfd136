"""Every architecture of the zoo goes through all: fit, export, outlier score, int8, drift reference, explain.

One default test takes linear-probe through all of it (its graph is that of EfficientNet-Lite0), one exports the
network with the trap, EfficientNetV2. The others are drills: exporting takes 8 s of CPU each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from skinml.dataset.shard_files import Shard
from skinml.models import zoo
from skinml.models.bundle import HEAD
from skinml.models.head import parse_head, softmax
from skinml.models.inference import infer
from skinml.models.onnx import check_parity, export_onnx
from skinml.models.session import load_session, predict
from skinml.monitoring.reference import Reference
from skinml.training.finish import finish
from skinml.training.fit import fit
from skinml.training.inputs import Inputs
from skinml.training.jobs import RANDOM
from skinml.training.results import TRAINING_FEATURES, Finished, FitResult
from skinml.training.start import choose_start
from tests.unit.training.datasets import finish_job, fit_job, inputs_of, write_shards

COUNT = 56
LABELS = (np.arange(COUNT) % 7).astype(np.int64)
TRAIN, VALIDATION, TEST = np.arange(28), np.arange(28, 35), np.arange(35, COUNT)
WHOLE = ("linear-probe",)
"""Through all in every run of the tests."""

ALL = [name if name in WHOLE else pytest.param(name, marks=pytest.mark.drill) for name in zoo.ARCHITECTURES]


@dataclass(frozen=True, eq=False)
class Trained:
    """One architecture, fitted and finished on 28 images."""

    name: str
    pixels: NDArray[np.uint8]
    inputs: Inputs
    fitted: FitResult
    finished: Finished
    fit: Path
    finish: Path


@pytest.fixture(scope="module", params=ALL)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Each class has a colour of its own; one epoch, from ImageNet weights if they come with a package."""
    shape = zoo.architecture(request.param)
    workspace = tmp_path_factory.mktemp("zoo")
    noise = np.random.default_rng(0).normal(0, 12, (COUNT, shape.size, shape.size, 3))
    pixels = (noise + 30 + 30 * LABELS[:, None, None, None]).clip(0, 255).astype(np.uint8)
    shards: tuple[Shard, ...] = write_shards(str(workspace), pixels, [])
    inputs = inputs_of(shards, LABELS, TRAIN, VALIDATION, TEST)
    packaged = isinstance(shape.weights, zoo.base.Weights)
    job = fit_job(
        str(workspace),
        inputs,
        architecture=shape.name,
        epochs=1,
        batch_size=14,
        export=True,
        start=choose_start(shape.name, "imagenet")[0] if packaged else RANDOM,
    )
    fitted = fit(job, workspace / "scratch", lambda *_: None)
    finishing = finish_job(job, fitted.files["model.onnx"].sha256)
    finished = finish(finishing, workspace / "scratch")
    return Trained(shape.name, pixels, inputs, fitted, finished, Path(job.results), Path(finishing.results))


def test_what_scores_is_what_was_fitted(trained: Trained) -> None:
    assert trained.fitted.parity is not None
    assert trained.fitted.parity < 1e-4
    session = load_session(str(trained.finish / "model.onnx"), trained.finished.files["model.onnx"].sha256)
    assert [(value.name, value.shape[1:]) for value in session.get_inputs()] == [
        ("pixels", list(trained.pixels.shape[1:]))
    ]
    assert {value.name for value in session.get_outputs()} == {"probabilities", "unlike_training", "cells"}
    found = predict(session, trained.pixels[TEST])
    np.testing.assert_allclose(found["probabilities"], trained.fitted.probabilities, atol=1e-4)


def test_images_unlike_the_training_images_stand_out(trained: Trained) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (7, *trained.pixels.shape[1:]), dtype=np.uint8)
    found = [
        infer(trained.finish / "model.onnx", [images], ["unlike_training"])["unlike_training"]
        for images in (trained.pixels[TEST], noise)
    ]
    assert np.median(found[1]) > np.median(found[0])


def test_the_int8_form_is_made_of_integers(trained: Trained) -> None:
    int8 = trained.finished.precisions["int8"]
    assert (int8.file, int8.failure) == ("model-int8.onnx", None)
    graph = onnx.load(trained.finish / "model-int8.onnx").graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert convolutions
    for node in convolutions:
        assert made_by[node.input[0]] == made_by[node.input[1]] == "DequantizeLinear"
    if trained.name.startswith(("efficientnet-lite", "linear")):
        behind = {name: node.op_type for node in graph.node for name in node.input}
        assert not [node for node in convolutions if behind[node.output[0]] in ("Mul", "Add")], "not folded"


def test_a_reference_tells_drift(trained: Trained) -> None:
    text = (trained.finish / "reference.json").read_text(encoding="utf-8")
    reference = Reference.model_validate_json(text)
    assert set(reference.precisions) == {"fp32", "int8"}
    assert trained.finished.held_out


def test_cells_and_head_explain_the_probabilities(trained: Trained) -> None:
    """Their sum is the logit, exactly, and their means are what finds the nearest training lesions."""
    head = parse_head((trained.fit / HEAD).read_bytes(), "v1")
    values = trained.pixels[TEST].astype(np.float32)
    found = infer(trained.finish / "model.onnx", [values], ["cells", "probabilities"])
    np.testing.assert_allclose(softmax(head.logits(found["cells"])), found["probabilities"], atol=1e-4)
    with np.load(trained.finish / TRAINING_FEATURES, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["positions"], TRAIN)
        assert arrays["features"].shape == (len(TRAIN), found["cells"].shape[3])
        assert np.isfinite(arrays["features"]).all()


def test_a_probe_on_colours_is_right(trained: Trained) -> None:
    """The fit has learnt: seven colours are told apart. One epoch of the others may not."""
    if not zoo.architecture(trained.name).frozen:
        pytest.skip("one epoch of 28 images is too little")
    assert trained.fitted.history["val_balanced_accuracy"][0] > 0.7
    assert trained.fitted.best_epoch == 1


@pytest.mark.parametrize(
    "name", [pytest.param("mobilenetv3-small", marks=pytest.mark.drill), "efficientnetv2-b0"]
)
def test_a_network_of_keras_applications_has_one_input(name: str, tmp_path: Path) -> None:
    """Their own Normalization would export its constants as inputs."""
    shape = zoo.architecture(name)
    model = shape.build()
    export_onnx(model, tmp_path / "model.onnx", shape.features, shape.cells)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [value.name for value in session.get_inputs()] == ["pixels"]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3)).astype(np.float32)
    assert check_parity(model, tmp_path / "model.onnx", pixels) < 1e-4


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("mobilenetv3-small", lambda applications: applications.MobileNetV3Small),
        pytest.param(
            "efficientnetv2-b0", lambda applications: applications.EfficientNetV2B0, marks=pytest.mark.drill
        ),
    ],
)
def test_our_rescaling_is_the_preprocessing_of_keras_applications(name: str, own: Callable[[Any], Any]) -> None:
    from keras import Model, applications

    model = zoo.architecture(name).build()
    theirs = own(applications)(input_shape=(128, 128, 3), include_top=False, weights=None)
    ours = Model(model.inputs[0], model.get_layer("cells").output)
    theirs.set_weights(ours.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3)).astype(np.float32)
    np.testing.assert_allclose(ours.predict_on_batch(pixels), theirs.predict_on_batch(pixels), atol=1e-4)
