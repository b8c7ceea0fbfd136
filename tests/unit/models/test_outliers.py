"""Tests of skinml/models/outliers.py."""

from pathlib import Path

import numpy as np
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
@pytest.mark.parametrize(("convolutions", "last"), [(2, "dense"), (1, "dense"), (1, "gemm")])
def test_it_is_the_mahalanobis_distance_of_the_features(
    tmp_path: Path, convolutions: int, last: str, opset: int
) -> None:
    path = write_network(tmp_path / "model.onnx", convolutions, opset, last)
    add_outliers(path, [TRAINING])
    # Of two convolutions what the second reads, of one what the dense layer reads: here both are channel means
    kernel = _initializer(path, "kernel0")
    features = _first_features(TRAINING, kernel)
    centre, covariance = features.mean(axis=0), ledoit_wolf(features)[0]
    other = images(20, seed=9)
    apart = _first_features(other, kernel) - centre
    expected = np.sqrt(np.einsum("ij,jk,ik->i", apart, np.linalg.inv(covariance), apart))
    np.testing.assert_allclose(_distances(path, other), expected, rtol=1e-3)


def _initializer(path: Path, name: str) -> np.ndarray:
    import onnx

    [found] = [value for value in onnx.load(path).graph.initializer if value.name == name]
    return np.asarray(onnx.numpy_helper.to_array(found))


def _first_features(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Channel means after the first convolution and its activation, by NumPy."""
    padded = np.pad(pixels / 255, ((0, 0), (1, 1), (1, 1), (0, 0)))
    convolved = sum(
        padded[:, row : row + SIZE, column : column + SIZE] @ kernel[:, :, row, column].T
        for row in range(3)
        for column in range(3)
    )
    return np.asarray(np.maximum(convolved + 0.1, 0).mean(axis=(1, 2)))


def test_other_images_are_further_away_than_held_out_ones(tmp_path: Path) -> None:
    path = write_network(tmp_path / "model.onnx")
    add_outliers(path, [TRAINING])
    limit = np.quantile(_distances(path, images(300, seed=2)), 0.99)
    noise = np.random.default_rng(3).integers(0, 256, (50, SIZE, SIZE, 3), dtype=np.uint8)
    for strange in (noise, np.zeros_like(noise), np.full_like(noise, 255), 255 - TRAINING):
        assert (_distances(path, strange) > limit).all()


def test_a_graph_without_features_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = write_network(tmp_path / "model.onnx", convolutions=1, last="relu")
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"no features for unlike_training: .* read backwards, in Relu, not"):
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
