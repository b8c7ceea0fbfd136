"""Tests of skinml/models/pretrained/loading.py: weights arrive where they belong, or a misfit is named."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from skinml.errors import RequestError
from skinml.models.pretrained.loading import put, put_in_order
from skinml.models.zoo.base import Architecture

SHAPE = Architecture("tiny", 8, lambda: None, "pooled")


def _model(filters: int = 4, seed: int = 0) -> Any:
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(filters, 3, name="stem"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Conv2D(filters, 1, name="point"),
            layers.GlobalAveragePooling2D(name="pooled"),
            layers.Dense(7, activation="softmax", name="probabilities"),
        ]
    )


def _equal(first: Any, second: Any) -> list[bool]:
    """Whether each layer with weights has the same ones."""
    pairs = zip(first.layers, second.layers, strict=True)
    return [
        all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
        for one, other in pairs
        if one.weights
    ]


@pytest.fixture(scope="module")
def source() -> Any:
    return _model(seed=1)


def _legacy(model: Any, top: bool) -> bytes:
    """As Keras 2 and keras.applications write it: every layer, those without weights too."""
    file = io.BytesIO()
    with h5py.File(file, "w") as group:
        layers = model.layers if top else model.layers[:-1]
        group.attrs["layer_names"] = [f"theirs_{layer.name}".encode() for layer in layers]
        for layer in layers:
            part = group.create_group(f"theirs_{layer.name}")
            arrays = layer.get_weights()
            part.attrs["weight_names"] = [f"w{number}".encode() for number in range(len(arrays))]
            for number, array in enumerate(arrays):
                part[f"w{number}"] = array
    return file.getvalue()


@pytest.mark.parametrize("form", ["model.keras", "start.weights.h5"])
def test_what_keras_saves_is_read(form: str, source: Any, tmp_path: Path) -> None:
    path = tmp_path / form
    (source.save if form.endswith(".keras") else source.save_weights)(path)
    model = _model()
    put(model, SHAPE, path.read_bytes(), form)
    assert _equal(model, source) == [True] * 4


def test_a_file_of_keras_applications_leaves_the_last_layer(source: Any) -> None:
    for top in (False, True):
        model = _model()
        put(model, SHAPE, _legacy(source, top), "notop.h5")
        assert _equal(model, source) == [True, True, True, top]


def test_the_config_of_a_keras_file_is_not_read(source: Any, tmp_path: Path) -> None:
    """It may name code; weights alone are taken."""
    source.save(tmp_path / "model.keras")
    changed = io.BytesIO()
    with zipfile.ZipFile(tmp_path / "model.keras") as old, zipfile.ZipFile(changed, "w") as new:
        new.writestr("config.json", '{"module": "os", "class_name": "system", "config": {"command": "false"}}')
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    model = _model()
    put(model, SHAPE, changed.getvalue(), "model.keras")
    assert all(_equal(model, source))


def test_the_first_layer_that_does_not_fit_is_named(source: Any, tmp_path: Path) -> None:
    _model(filters=5).save_weights(tmp_path / "wide.weights.h5")
    before = _model()
    for data, theirs in (
        ((tmp_path / "wide.weights.h5").read_bytes(), "conv2d"),
        (_legacy(_model(filters=5), top=True), "theirs_stem"),
    ):
        model = _model()
        with pytest.raises(
            RequestError,
            match=rf"^wide.h5: is of another architecture than tiny: layer 1 with weights, stem, has 3x3x3x4,"
            rf" 4, and there it is {theirs} with 3x3x3x5, 5$",
        ):
            put(model, SHAPE, data, "wide.h5")
        assert all(_equal(model, before)), "nothing was changed"


def test_too_few_and_too_many_layers_are_named() -> None:
    model = _model()
    found = [(f"part{n}", layer.get_weights()) for n, layer in enumerate(x for x in model.layers if x.weights)]
    with pytest.raises(RequestError, match="it has 2 layers, and none for point 1x1x4x4, 4"):
        put_in_order(model, "tiny", found[:2], "short.h5")
    with pytest.raises(RequestError, match="it has 5 layers, and extra is one too many"):
        put_in_order(model, "tiny", [*found, ("extra", [np.zeros(1, np.float32)])], "long.h5")


def test_weights_that_are_not_finite_are_refused() -> None:
    model = _model()
    found = [(layer.name, layer.get_weights()) for layer in model.layers if layer.weights]
    found[1][1][0][2] = np.nan
    with pytest.raises(RequestError, match="the weights of layer norm are not all finite"):
        put_in_order(model, "tiny", found, "nan.h5")


@pytest.mark.parametrize(
    "data",
    [b"", b"weights", b"PK\x03\x04 broken", b"\x89HDF\r\n\x1a\n broken"],
    ids=["empty", "text", "zip", "hdf5"],
)
def test_what_is_no_file_of_weights_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match=r"^x: is no (file of weights|HDF5 file)"):
        put(_model(), SHAPE, data, "x")


def test_a_keras_file_of_another_kind_is_refused() -> None:
    file = io.BytesIO()
    with h5py.File(file, "w") as group:
        group["something"] = np.zeros(3)
    with pytest.raises(RequestError, match="x: is no HDF5 file of a network's weights, or damaged"):
        put(_model(), SHAPE, file.getvalue(), "x")
