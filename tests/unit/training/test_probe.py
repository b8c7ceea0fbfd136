"""Tests of skinml/training/probe.py: scikit-learn's regression, folded into one layer of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinml.errors import RunError
from skinml.training import probe
from skinml.training.inputs import Inputs
from skinml.training.probe import STRENGTH, fit_probe, regress
from tests.unit.training.datasets import inputs_of

LABELS = (np.arange(140) % 7).astype(np.int64)


def _features() -> Any:
    generator = np.random.default_rng(0)
    features = generator.normal(5, 2, (140, 12)) + np.eye(12)[LABELS] * 3
    features[:, 11] = 1.0  # never changes
    return (features * np.geomspace(0.01, 100, 12)).astype(np.float32)


def test_it_is_scikit_learns_regression_on_standardised_features() -> None:
    features = _features()
    kernel, bias = regress(features, LABELS, np.ones(140, np.int64))
    pipeline = make_pipeline(
        StandardScaler(), LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=2000)
    )
    expected = pipeline.fit(features.astype(np.float64), LABELS).decision_function(features.astype(np.float64))
    found = features @ kernel + bias
    np.testing.assert_allclose(found - found.mean(1, keepdims=True), expected, atol=1e-3)


def test_an_image_that_counts_twice_is_as_good_as_two() -> None:
    features = _features()
    rows = np.r_[np.arange(140), np.arange(0, 140, 7)]
    once = regress(features[rows], LABELS[rows], np.ones(160, np.int64))
    counted = regress(features, LABELS, np.where(LABELS == 0, 2, 1))
    np.testing.assert_allclose(features @ once[0] + once[1], features @ counted[0] + counted[1], atol=2e-3)


def test_features_that_are_not_finite_are_refused() -> None:
    features = _features()
    features[3, 4] = np.inf
    with pytest.raises(
        RunError, match="features of the training images are not finite: start from other --weights"
    ):
        regress(features, LABELS, np.ones(140, np.int64))


@pytest.fixture(scope="module")
def fitted() -> tuple[Any, list[Any], dict[str, list[float]], Any]:
    """A frozen network, its weights before, the history, and the pixels; each class has its own colours."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7, activation="softmax", name="probabilities"),
        ]
    )
    colours = np.random.default_rng(2).uniform(40, 215, (7, 3))
    noise = np.random.default_rng(1).normal(0, 8, (140, 8, 8, 3))
    pixels = (colours[LABELS][:, None, None] + noise).clip(0, 255).astype(np.uint8)
    before = [layer.get_weights() for layer in model.layers]
    told: list[Any] = []
    history = fit_probe(model, [pixels[:50], pixels[50:]], _inputs(), "raw", 7, lambda *one: told.append(one))
    assert told == [(1, {name: values[0] for name, values in history.items()})]
    return model, before, history, pixels


def _inputs() -> Inputs:
    return inputs_of((), LABELS, np.arange(98), np.arange(98, 119), np.arange(119, 140))


def test_only_the_last_layer_is_fitted(fitted: tuple[Any, list[Any], dict[str, list[float]], Any]) -> None:
    model, before, _, _ = fitted
    same = [
        all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), weights, strict=True))
        for layer, weights in zip(model.layers, before, strict=True)
    ]
    assert same == [True, True, True, False]


def test_the_history_is_what_the_network_says(
    fitted: tuple[Any, list[Any], dict[str, list[float]], Any],
) -> None:
    model, _, history, pixels = fitted
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy", "val_balanced_accuracy"]
    validation = _inputs().validation
    probabilities = np.asarray(model.predict_on_batch(pixels[validation].astype(np.float32)))
    truth = LABELS[validation]
    assert history["val_accuracy"] == [pytest.approx((probabilities.argmax(1) == truth).mean())]
    assert history["val_loss"] == [pytest.approx(-np.log(probabilities[np.arange(21), truth]).mean(), rel=1e-3)]
    assert history["val_balanced_accuracy"][0] > 0.5


def test_more_images_than_it_takes_are_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MOST_IMAGES", 40)
    train = np.r_[np.arange(60), 3]
    (first, counts), (again, _), (other, _) = (probe._drawn(train, seed) for seed in (1, 1, 2))
    assert (len(first), len(counts)) == (40, 40)
    np.testing.assert_array_equal(first, again)
    assert set(first.tolist()) != set(other.tolist())
    monkeypatch.setattr(probe, "MOST_IMAGES", 60)
    images, counts = probe._drawn(train, 1)
    assert (images.tolist(), counts[3], counts.sum()) == (list(range(60)), 2, 61)
