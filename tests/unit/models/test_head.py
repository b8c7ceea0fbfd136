"""Tests of skinml/models/head.py: cells and bias are the logits, whatever linear layers lie between."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skinml.errors import RunError
from skinml.models.head import Head, check_head, parse_head, softmax, write_head
from skinml.models.inference import infer, mean_cells
from skinml.models.keras_head import linear_head
from skinml.models.onnx import export_onnx
from skinml.models.zoo import ARCHITECTURES
from tests.unit.models.networks import SIZE, images, write_network


def _model(*behind: Any, activation: str = "softmax") -> Any:
    """A convolution called `cells`, these layers, and seven classes."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(3)
    model = keras.Sequential([layers.Input((SIZE, SIZE, 3), name="pixels"), layers.Rescaling(1 / 255)])
    model.add(layers.Conv2D(5, 3, strides=3, name="cells"))
    for layer in behind:
        model.add(layer)
    model.add(layers.Dense(7, activation=activation, name="last"))
    return model


def _logits(model: Any, pixels: np.ndarray) -> Any:
    """What the last layer gives without its softmax, by Keras."""
    import keras

    model.get_layer("last").activation = keras.activations.linear
    return model.predict(pixels.astype(np.float32), verbose=0)


def _shuffled(model: Any) -> Any:
    """Biases of Keras are zero until they are fitted: a wrong sum of them would not show."""
    generator = np.random.default_rng(5)
    model.set_weights([generator.normal(0, 0.3, value.shape) for value in model.get_weights()])
    return model


def _layers(kind: str) -> list[Any]:
    import keras

    layers = keras.layers
    return {
        "pooled": [layers.Dropout(0.5), layers.GlobalAveragePooling2D()],
        "flat": [layers.Flatten()],
        "as the thesis": [layers.Dropout(0.3), layers.Flatten(), layers.Dense(32)],
        "without bias": [layers.GlobalAveragePooling2D(), layers.Dense(9, use_bias=False), layers.Dropout(0.1)],
    }[kind]


@pytest.mark.parametrize("kind", ["pooled", "flat", "as the thesis", "without bias"])
def test_cells_and_bias_sum_to_the_logits(kind: str, tmp_path: Path) -> None:
    model, pixels = _shuffled(_model(*_layers(kind))), images(9)
    head = linear_head(model, "cells")
    export_onnx(model, tmp_path / "model.onnx", cells="cells")
    found = infer(tmp_path / "model.onnx", [pixels], ["cells", "probabilities"])
    parts = head.contributions(found["cells"])
    assert parts.shape == (9, 4, 4, 7)
    logits = parts.sum(axis=(1, 2)) + head.bias
    check_head(head, found["cells"], found["probabilities"])
    np.testing.assert_allclose(softmax(logits), found["probabilities"], atol=1e-4)
    np.testing.assert_allclose(logits, _logits(model, pixels), atol=1e-4)


def test_the_thesis_network_is_2_x_2_cells_and_a_bias(tmp_path: Path) -> None:
    """The two dense layers have no activation between them: each logit is an exact sum over four cells."""
    shape = ARCHITECTURES["thesis-cnn"]
    model = _shuffled(shape.build())
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    export_onnx(model, tmp_path / "model.onnx", shape.features, shape.cells)
    assert shape.cells is not None
    head = linear_head(model, shape.cells)
    assert head.weights.shape == (2, 2, 64, 7)
    cells = infer(tmp_path / "model.onnx", [pixels], ["cells"])["cells"]
    import keras

    model.get_layer("probabilities").activation = keras.activations.linear
    expected = model.predict(pixels.astype(np.float32), verbose=0)
    scale = np.abs(expected).max()  # these weights give logits of thousands
    np.testing.assert_allclose(head.logits(cells) / scale, expected / scale, atol=1e-4)


def test_a_head_is_the_same_after_writing(tmp_path: Path) -> None:
    head = Head(np.random.default_rng(0).normal(size=(2, 3, 4, 7)), np.arange(7.0))
    write_head(tmp_path / "head.npz", head)
    again = parse_head((tmp_path / "head.npz").read_bytes(), "v1")
    np.testing.assert_allclose(again.weights, head.weights, rtol=1e-6)
    np.testing.assert_array_equal(again.bias, head.bias)


def _npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"PK rubbish", "cannot be read"),
        (_npz(weights=np.zeros((2, 2, 4, 7))), "cannot be read"),
        (_npz(weights=np.zeros((2, 2, 4, 3)), bias=np.zeros(3)), r"shape \(2, 2, 4, 3\), not \(h, w, c, 7\)"),
        (_npz(weights=np.full((1, 1, 4, 7), np.nan), bias=np.zeros(7)), "not finite"),
        (_npz(weights=np.array([{}], dtype=object), bias=np.zeros(7)), "cannot be read"),  # pickle
    ],
)
def test_what_is_no_head_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(RunError, match=f"model v1: .*{message}"):
        parse_head(data, "v1")


def test_cells_of_another_shape_are_refused() -> None:
    head = Head(np.ones((2, 2, 4, 7)), np.zeros(7))
    for shape in ((1, 3, 3, 4), (1, 2, 2, 5), (2, 2, 4)):
        with pytest.raises(RunError, match="the head has weights for"):
            head.contributions(np.zeros(shape))


@pytest.mark.parametrize(
    "kind", ["relu", "strided", "two dense after a softmax", "no such layer", "no softmax"]
)
def test_a_network_that_is_not_linear_behind_its_cells_has_no_head(kind: str) -> None:
    import keras

    layers = keras.layers
    behind = {
        "relu": [layers.Flatten(), layers.Dense(8, activation="relu")],
        "strided": [layers.MaxPooling2D(2), layers.Flatten()],
        "two dense after a softmax": [layers.Flatten(), layers.Dense(7, activation="softmax")],
        "no such layer": [layers.Flatten()],
        "no softmax": [layers.Flatten()],
    }[kind]
    model = _model(*behind, activation="linear" if kind == "no softmax" else "softmax")
    cells, message = "cells", "no class activation map"
    if kind == "no such layer":
        cells, message = "elsewhere", "no layer 'elsewhere'"
    with pytest.raises(RunError, match=message):
        linear_head(model, cells)


def test_a_head_of_another_network_is_noticed() -> None:
    head = Head(np.random.default_rng(0).normal(size=(1, 1, 4, 7)), np.zeros(7))
    cells = np.random.default_rng(1).normal(size=(5, 2, 2, 4))
    right = softmax(head.logits(cells))
    check_head(head, cells, right)
    with pytest.raises(RunError, match="other probabilities than the network"):
        check_head(Head(head.weights * 1.1, head.bias), cells, right)
    with pytest.raises(RunError, match="by nan"):
        check_head(Head(head.weights * np.nan, head.bias), cells, right)


def test_features_are_the_means_of_the_cells(tmp_path: Path) -> None:
    network = write_network(tmp_path / "model.onnx", cells=True)
    batches = [images(4), images(3, seed=9)]
    cells = infer(network, batches, ["cells"])["cells"]
    np.testing.assert_allclose(mean_cells(network, batches), cells.mean(axis=(1, 2)), rtol=1e-5)
