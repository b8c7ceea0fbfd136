"""Tests of skinml/models/outliers.py."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.covariance import ledoit_wolf

from skinml.errors import RunError
from skinml.models.inference import infer
from skinml.models.outliers import add_outliers, fit_gaussian
from tests.unit.models.networks import SIZE, images, write_network

TRAINING = images(300)
VALUES = [0.0, 1.0, -1.0, 1 / 3, 0.1, 1e-20, 1e8]


def _distances(path: Path, pixels: np.ndarray) -> np.ndarray:
    return infer(path, [pixels], ["unlike_training"])["unlike_training"]


def test_a_second_output_is_added_and_the_first_left_alone(tmp_path: Path) -> None:
    path = write_network(tmp_path / "model.onnx")
    before = infer(path, [TRAINING], ["probabilities"])["probabilities"]
    add_outliers(path, [TRAINING[:7], TRAINING[7:]])
    session = onnxruntime.InferenceSession(path)
    assert [value.name for value in session.get_inputs()] == ["pixels"]
    given = [(value.name, value.type, value.shape) for value in session.get_outputs()]
    assert given == [
        ("probabilities", "tensor(float)", ["batch", 7]),
        ("unlike_training", "tensor(float)", ["batch"]),
    ]
    np.testing.assert_array_equal(infer(path, [TRAINING], ["probabilities"])["probabilities"], before)
    for count in (1, 5):
        np.testing.assert_allclose(
            _distances(path, TRAINING[:count]), _distances(path, TRAINING)[:count], rtol=1e-4
        )


@pytest.mark.parametrize("opset", [15, 18])  # from 18 on ReduceL2 takes its axes as an input
@pytest.mark.parametrize("layer", ["features1", "flat"])
def test_it_is_the_mahalanobis_distance_of_the_features(tmp_path: Path, layer: str, opset: int) -> None:
    path = write_network(tmp_path / "model.onnx", layer, opset)
    add_outliers(path, [TRAINING])
    # Of a layer with places its channel means; what the dense layer reads has none.
    kernels = [_initializer(path, name) for name in ("kernel0", "kernel1")][: 1 if layer == "features1" else 2]
    features = _features(TRAINING, kernels)
    centre, covariance = features.mean(axis=0), ledoit_wolf(features)[0]
    other = images(20, seed=9)
    apart = _features(other, kernels) - centre
    expected = np.sqrt(np.einsum("ij,jk,ik->i", apart, np.linalg.inv(covariance), apart))
    np.testing.assert_allclose(_distances(path, other), expected, rtol=1e-3)


def _initializer(path: Path, name: str) -> np.ndarray:
    [found] = [value for value in onnx.load(path).graph.initializer if value.name == name]
    return np.asarray(onnx.numpy_helper.to_array(found))


def _features(pixels: np.ndarray, kernels: list[np.ndarray]) -> np.ndarray:
    """Channel means after convolutions and their activations, by NumPy."""
    values = pixels / 255
    for kernel in kernels:
        padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
        convolved = sum(
            padded[:, row : row + SIZE, column : column + SIZE] @ kernel[:, :, row, column].T
            for row in range(3)
            for column in range(3)
        )
        values = np.maximum(convolved + 0.1, 0)
    return np.asarray(values.mean(axis=(1, 2)))


def test_scoring_does_not_pay_for_the_order_that_keras_wants(tmp_path: Path) -> None:
    """The export turns the features to channels last, and back for their reader: neither is left."""
    path = write_network(tmp_path / "model.onnx")
    model = onnx.load(path)
    [convolution] = [node for node in model.graph.node if node.name == "conv1"]
    assert convolution.input[0] == "features1"
    convolution.input[0] = "turned back"
    model.graph.node.insert(
        list(model.graph.node).index(convolution),
        onnx.helper.make_node("Transpose", ["features"], ["turned back"], perm=[0, 3, 1, 2]),
    )
    [turn] = [node for node in model.graph.node if "features" in node.output]
    model.graph.node.remove(turn)
    model.graph.node.insert(4, turn)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    before = infer(path, [TRAINING], ["probabilities"])["probabilities"]
    add_outliers(path, [TRAINING])
    assert [node.op_type for node in onnx.load(path).graph.node].count("Transpose") == 1, "of the pixels"
    np.testing.assert_array_equal(infer(path, [TRAINING], ["probabilities"])["probabilities"], before)
    plain = write_network(tmp_path / "plain.onnx")
    add_outliers(plain, [TRAINING])
    np.testing.assert_array_equal(_distances(path, TRAINING), _distances(plain, TRAINING))


def test_other_images_are_further_away_than_held_out_ones(tmp_path: Path) -> None:
    path = write_network(tmp_path / "model.onnx")
    add_outliers(path, [TRAINING])
    limit = np.quantile(_distances(path, images(300, seed=2)), 0.99)
    noise = np.random.default_rng(3).integers(0, 256, (50, SIZE, SIZE, 3), dtype=np.uint8)
    for strange in (noise, np.zeros_like(noise), np.full_like(noise, 255), 255 - TRAINING):
        assert (_distances(path, strange) > limit).all()


def test_a_graph_without_features_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = write_network(tmp_path / "model.onnx", features="")
    before = path.read_bytes()
    with pytest.raises(
        RunError, match=r"no features for unlike_training: .* no output 'features', only probabilities;"
    ):
        add_outliers(path, [TRAINING])
    assert path.read_bytes() == before


def test_the_whitening_is_the_inverse_of_the_shrunk_covariance() -> None:
    generator = np.random.default_rng(4)
    for rows, columns in ((500, 6), (10, 30), (3, 2)):
        features = generator.normal(3, generator.uniform(0.1, 9, columns), (rows, columns))
        mean, whitening = fit_gaussian(features)
        np.testing.assert_array_equal(mean, features.mean(axis=0))
        whitened = whitening.T @ ledoit_wolf(features)[0] @ whitening
        np.testing.assert_allclose(whitened, np.eye(columns), atol=1e-9)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=st.sampled_from(VALUES)),
    st.integers(-30, 30),
)
def test_any_finite_features_have_distances(features: np.ndarray, power: int) -> None:
    """Constant, repeated, huge and tiny ones, too: no estimate divides by zero."""
    mean, whitening = fit_gaussian(features * 10.0**power)
    assert np.isfinite(mean).all()
    assert np.isfinite(whitening).all()


def test_features_that_never_change_still_have_a_distance() -> None:
    features = np.random.default_rng(5).normal(0, 1, (50, 4))
    features[:, 2] = 0  # a channel that no training image wakes
    for values in (features, np.zeros((50, 4))):
        mean, whitening = fit_gaussian(values)
        assert np.isfinite(np.linalg.norm((values + 1 - mean) @ whitening, axis=1)).all()


def test_features_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(RunError, match=r"the features of 3 training images: .* all values finite"):
        fit_gaussian(np.array([[1.0], [np.nan], [2.0]]))
    with pytest.raises(RunError, match="the features of 1 training images: at least 2"):
        fit_gaussian(np.ones((1, 3)))
