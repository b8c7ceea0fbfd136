"""Tests of skinml/models/quantise.py."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from skinml.models.inference import infer
from skinml.models.outliers import add_outliers
from skinml.models.quantise import CALIBRATION_PER_CLASS, calibration_positions, quantise
from tests.unit.models.networks import images, write_network

OUTPUTS = ["probabilities", "unlike_training"]
TRAINING = images(300)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network with `unlike_training`, and what quantising makes of it."""
    folder = tmp_path_factory.mktemp("quantise")
    source, target = write_network(folder / "model.onnx"), folder / "model-int8.onnx"
    add_outliers(source, [TRAINING])
    quantise(source, target, [TRAINING[:150], TRAINING[150:]], ["Conv", "Relu"])
    return source, target


def test_it_takes_and_gives_the_same_and_nearly_the_same_values(both: tuple[Path, Path]) -> None:
    source, target = both
    described = [
        [(value.name, value.type, value.shape) for value in (*session.get_inputs(), *session.get_outputs())]
        for session in map(onnxruntime.InferenceSession, both)
    ]
    assert described[0] == described[1]
    other = images(100, seed=2)
    fp32, int8 = infer(source, [other], OUTPUTS), infer(target, [other], OUTPUTS)
    assert 0 < np.abs(fp32["probabilities"] - int8["probabilities"]).max() < 0.1
    assert np.corrcoef(fp32["unlike_training"], int8["unlike_training"])[0, 1] > 0.9


def test_convolutions_are_integers_and_the_distance_is_not(both: tuple[Path, Path]) -> None:
    graph = onnx.load(both[1]).graph
    made_by = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        read = [made_by[name].op_type for name in node.input if name in made_by]
        if node.op_type == "Conv":
            assert read == ["DequantizeLinear"] * 3
        if node.op_type in {"MatMul", "Sub", "ReduceL2"}:
            assert "DequantizeLinear" not in read


def test_only_the_operators_that_are_named_are_integers(both: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "dense.onnx"
    quantise(both[0], target, [TRAINING], ["MatMul"])
    graph = onnx.load(target).graph
    made_by = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        read = {made_by[name].op_type for name in node.input if name in made_by}
        if node.op_type == "Conv":
            assert "DequantizeLinear" not in read
        if node.op_type == "MatMul":
            assert (read == {"DequantizeLinear"}) is not node.name.startswith("unlike_training"), node.name
    with pytest.raises(ValueError, match="names no operators that may be quantised"):
        quantise(both[0], target, [TRAINING], [])


def test_weights_keep_to_seven_bits(both: tuple[Path, Path]) -> None:
    """Two products of 255 and 64 fit into the 16 bits that older processors add them in; of 128 they do not."""
    weights = {
        value.name: onnx.numpy_helper.to_array(value)
        for value in onnx.load(both[1]).graph.initializer
        if value.name.endswith("_quantized") and value.data_type == onnx.TensorProto.INT8
    }
    assert len(weights) == 2
    for values in weights.values():
        assert np.abs(values.astype(int)).max(axis=(1, 2, 3)).tolist() == [64] * len(values)  # each channel


def test_calibration_images_are_of_all_classes_and_the_same_for_a_seed() -> None:
    labels = np.repeat(np.arange(7), [400, 3, 200, 200, 200, 200, 200])
    train = np.tile(np.flatnonzero(np.arange(len(labels)) % 2 == 0), 3)  # every second, three times over
    chosen = calibration_positions(labels, train, seed=5)
    assert len(set(chosen.tolist())) == len(chosen)
    assert set(chosen.tolist()) <= set(train.tolist())
    assert np.bincount(labels[chosen]).tolist() == [CALIBRATION_PER_CLASS, 2, *[CALIBRATION_PER_CLASS] * 5]
    np.testing.assert_array_equal(chosen, calibration_positions(labels, train, seed=5))
    assert set(chosen.tolist()) != set(calibration_positions(labels, train, seed=6).tolist())
    assert len(set(labels[chosen[:50]].tolist())) > 4  # mixed, so that every batch is
