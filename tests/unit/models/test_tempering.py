"""Tests of skinml/models/tempering.py: the graph's probabilities at a temperature."""

from pathlib import Path

import numpy as np
import pytest

from skinml.errors import RunError
from skinml.evaluation.temperature import temper
from skinml.models.inference import infer
from skinml.models.outliers import add_outliers
from skinml.models.tempering import add_temperature, check_tempered
from skinml.models.views import add_views
from tests.unit.models.networks import images, write_network

PIXELS = images(16, seed=5).astype(np.float32)


@pytest.mark.parametrize("views", [1, 4])
def test_the_graph_gives_what_the_arithmetic_gives(tmp_path: Path, views: int) -> None:
    path = write_network(tmp_path / "network.onnx")
    add_outliers(path, [images(60).astype(np.float32)])
    add_views(path, views)
    outputs = ["probabilities", "unlike_training", *(["first_view"] if views > 1 else [])]
    before = infer(path, [PIXELS], outputs)
    add_temperature(path, 0.4)
    found = infer(path, [PIXELS], outputs)
    for name in outputs:
        expected = before[name] if name == "unlike_training" else temper(before[name], 0.4)
        np.testing.assert_allclose(found[name], expected, atol=1e-5, rtol=1e-5)
    assert np.abs(found["probabilities"] - before["probabilities"]).max() > 0.05
    check_tempered(path, 0.4, before["probabilities"], PIXELS)
    with pytest.raises(RunError, match=r"with temperature 0\.500 a probability differs by"):
        check_tempered(path, 0.5, before["probabilities"], PIXELS)


def test_temperature_1_changes_no_byte(tmp_path: Path) -> None:
    path = write_network(tmp_path / "network.onnx")
    before = path.read_bytes()
    add_temperature(path, 1.0)
    assert path.read_bytes() == before
