"""Tests of skinml/models/zoo/thesis_cnn.py."""

import numpy as np
import pytest

from skinml.errors import RunError
from skinml.models import zoo
from skinml.models.zoo import thesis_cnn


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
    monkeypatch.setattr(thesis_cnn, "PARAMETERS", 384_456)
    with pytest.raises(RunError, match="thesis-cnn has 384,455 parameters, not 384,456"):
        zoo.architecture("thesis-cnn").build()


def test_its_features_are_what_the_second_convolution_reads() -> None:
    """But for the dropout between, which does nothing at scoring."""
    model = zoo.architecture("thesis-cnn").build()
    names = [layer.name for layer in model.layers]
    place = names.index(zoo.architecture("thesis-cnn").features)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds[place : place + 3] == ["MaxPooling2D", "Dropout", "Conv2D"]
    assert kinds[:place].count("Conv2D") == 1
