"""Tests of skinml/models/zoo.py."""

import numpy as np
import pytest

from skinml.errors import RequestError, RunError
from skinml.models import zoo
from skinml.requests.training import TrainRequest


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"no architecture is called 'vgg16'; known: .*thesis-cnn"):
        zoo.architecture("vgg16")


def test_pixels_are_made_for_the_model_that_train_fits() -> None:
    assert TrainRequest().model == zoo.DEFAULT
    assert (
        zoo.input_size(None, None)
        == zoo.input_size("thesis-cnn", None)
        == zoo.input_size("thesis-cnn", 32)
        == 32
    )
    assert zoo.input_size(None, 64) == 64
    with pytest.raises(
        RequestError, match=r"^--size 64 contradicts --for thesis-cnn, which reads 32 px: give one"
    ):
        zoo.input_size("thesis-cnn", 64)
    with pytest.raises(RequestError, match="no architecture is called 'vgg16'"):
        zoo.input_size("vgg16", None)


def test_thesis_cnn_is_the_thesis_network() -> None:
    entry = zoo.architecture("thesis-cnn")
    model = entry.build()
    assert entry.size == 32
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 7)
    assert model.count_params() == 384_455
    layers = [type(layer).__name__ for layer in model.layers]
    assert layers == ["Rescaling", *["Conv2D", "MaxPooling2D", "Dropout"] * 3, "Flatten", "Dense", "Dense"]
    assert [layer.filters for layer in model.layers if hasattr(layer, "filters")] == [256, 128, 64]


def test_thesis_cnn_takes_raw_pixel_values() -> None:
    model = zoo.architecture("thesis-cnn").build()
    raw = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(model.layers[0](raw), raw / 255, rtol=1e-6)
    np.testing.assert_allclose(model.predict(raw, verbose=0).sum(axis=1), 1, rtol=1e-5)


def test_another_number_of_parameters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "THESIS_CNN_PARAMETERS", 384_456)
    with pytest.raises(RunError, match="thesis-cnn has 384,455 parameters, not 384,456"):
        zoo.architecture("thesis-cnn").build()
