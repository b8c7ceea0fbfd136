"""Tests of skinml/models/inference.py."""

from pathlib import Path

import numpy as np

from skinml.models.inference import infer
from tests.unit.models.networks import images, write_network


def test_batches_are_put_together_in_their_order(tmp_path: Path) -> None:
    path = write_network(tmp_path / "model.onnx")
    pixels = images(10)
    parts = infer(path, iter([pixels[:3], pixels[3:4], pixels[4:]]), ["probabilities"])["probabilities"]
    assert parts.shape == (10, 7)
    assert parts.dtype == np.float64
    np.testing.assert_allclose(parts, infer(path.read_bytes(), [pixels], ["probabilities"])["probabilities"])
