"""Tests of skinml/models/onnx.py."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from skinml.errors import RunError
from skinml.models.onnx import PARITY_LIMIT, check_parity, export_onnx, parity

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


def _model(classes: int = 7) -> Any:
    """A small network of the zoo's kind."""
    import keras

    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


def test_the_graph_says_what_it_takes_and_gives(tmp_path: Path) -> None:
    export_onnx(_model(), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    taken = [(value.name, value.type, value.shape) for value in session.get_inputs()]
    given = [(value.name, value.type, value.shape) for value in session.get_outputs()]
    assert taken == [("pixels", "tensor(float)", ["batch", 8, 8, 3])]
    assert given == [("probabilities", "tensor(float)", ["batch", 7])]


def test_keras_and_onnx_agree_at_any_batch_size(tmp_path: Path) -> None:
    model = _model()
    export_onnx(model, tmp_path / "model.onnx")
    for count in (1, 5):
        difference = check_parity(model, tmp_path / "model.onnx", PIXELS[:count])
        assert 0 <= difference < PARITY_LIMIT / 10


def test_another_model_is_refused(tmp_path: Path) -> None:
    model = _model()
    export_onnx(model, tmp_path / "model.onnx")
    model.layers[-1].bias.assign(np.arange(7) * 0.01)
    assert parity(model, tmp_path / "model.onnx", PIXELS) > PARITY_LIMIT
    with pytest.raises(RunError, match=r"model.onnx differs from Keras by \d.\de-\d\d .* on 5 images"):
        check_parity(model, tmp_path / "model.onnx", PIXELS)


def test_what_is_not_a_number_is_refused(tmp_path: Path) -> None:
    model = _model()
    export_onnx(model, tmp_path / "model.onnx")
    model.layers[-1].bias.assign(np.full(7, np.nan))
    with pytest.raises(RunError, match="differs from Keras by nan"):
        check_parity(model, tmp_path / "model.onnx", PIXELS)


def test_a_graph_of_another_shape_is_refused_and_not_left_behind(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"one output, float \['batch', 7\]; it has .*\['batch', 3\]"):
        export_onnx(_model(classes=3), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
