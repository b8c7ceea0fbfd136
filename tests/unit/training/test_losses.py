"""Tests of skinml/training/losses.py: against the formulas, and against Keras's own losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from skinml.training.losses import make_class_weights, make_loss, make_targets
from skinml.training.settings import Settings

SHARES = np.array([0.05, 0.05, 0.1, 0.02, 0.1, 0.66, 0.02])
GENERATOR = np.random.default_rng(0)
PROBABILITIES = GENERATOR.dirichlet(np.ones(7), 20).astype(np.float32)
TARGETS = make_targets(np.arange(20) % 7, 0.1)


def _loss(settings: Settings) -> Any:
    function = cast(Callable[[Any, Any], Any], make_loss(settings, SHARES))
    return np.asarray(function(TARGETS, PROBABILITIES))


def test_cross_entropy_is_keras_own() -> None:
    assert make_loss(Settings(), SHARES) == "categorical_crossentropy"
    assert make_loss(Settings(loss="focal", focal_gamma=0), SHARES) == "categorical_crossentropy"


def test_focal_loss_is_keras_own_without_its_class_weight() -> None:
    import keras

    expected = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, reduction=None)(
        TARGETS, PROBABILITIES
    )
    np.testing.assert_allclose(_loss(Settings(loss="focal")), np.asarray(expected), rtol=1e-4)


def test_logit_adjustment_adds_tau_times_the_log_of_the_prior() -> None:
    logits = np.log(PROBABILITIES.astype(np.float64)) + 1.5 * np.log(SHARES)
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -(TARGETS * np.maximum(log_softmax, np.log(1e-7))).sum(axis=1)
    np.testing.assert_allclose(_loss(Settings(logit_adjustment=1.5)), expected, rtol=1e-4)


def test_a_gradient_at_certainty_is_finite() -> None:
    import tensorflow as tf

    function = cast(Callable[[Any, Any], Any], make_loss(Settings(loss="focal", focal_gamma=0.5), SHARES))
    certain = tf.constant([[1.0, 0, 0, 0, 0, 0, 0]])
    with tf.GradientTape() as tape:
        tape.watch(certain)
        loss = function(np.eye(7, dtype=np.float32)[:1], certain)
    assert np.isfinite(np.asarray(tape.gradient(loss, certain))).all()


def test_targets_are_smoothed_over_all_classes_and_unknown_labels_have_none() -> None:
    plain = make_targets(np.array([2, -1, 6]), 0)
    np.testing.assert_array_equal(plain, np.eye(7)[[2, 0, 6]] * [[1], [0], [1]])
    smooth = make_targets(np.array([2, -1]), 0.1)
    assert smooth[0, 2] == pytest.approx(0.9 + 0.1 / 7)
    assert smooth[0].sum() == pytest.approx(1)
    assert smooth[1].sum() == 0


def test_class_weights_have_a_mean_of_one_over_what_is_drawn() -> None:
    assert make_class_weights(SHARES, 0) is None
    weights = make_class_weights(SHARES, 1)
    assert weights is not None
    np.testing.assert_allclose(weights * SHARES * 7, 1, rtol=1e-5)
    half = make_class_weights(np.array([0.5, 0.5, 0, 0, 0, 0, 0]), 0.5)
    assert half is not None
    np.testing.assert_allclose(half, [1, 1, 0, 0, 0, 0, 0])
