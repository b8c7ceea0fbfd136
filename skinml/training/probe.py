"""Fit the last layer of a network alone, in one step: multinomial logistic regression on its features.

The features are what the last layer reads. They are standardised, the regression is scikit-learn's, and both
together become the weights of that layer, so that the model is an ordinary network afterwards.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.evaluation.metrics import measure
from skinml.images.preprocessing import Normalisation, network_input
from skinml.training.inputs import Inputs
from skinml.training.pixels import Pixels, gather
from skinml.training.resampling import Positions

if TYPE_CHECKING:
    import keras

logger = logging.getLogger("skinml.train")

OnEpoch = Callable[[int, dict[str, float]], None]

STRENGTH = 0.001
"""scikit-learn's C: the inverse of the penalty on the squared weights. Chosen by the validation lesions of
HAM10000: balanced accuracy 0.604 at 0.0003, 0.606 at 0.001."""

MOST_IMAGES = 50_000
"""Training images beyond which some are drawn: 8,967 weights need no more, and 50,000 images have 256 MB of
features."""

MOST_STEPS = 2_000
"""Of the solver; on HAM10000 it takes about 100."""

BATCH = 32


def fit_probe(
    model: keras.Model,
    shards: Sequence[Pixels],
    inputs: Inputs,
    normalisation: Normalisation,
    seed: int,
    on_epoch: OnEpoch,
) -> dict[str, list[float]]:
    """Fit the last layer on the training images and leave its weights in the model.

    Args:
        model: ends with a dense layer of seven classes with softmax; all other weights stay as they are.
        shards: all pixels.
        inputs: labels, and which positions train and validate.
        normalisation: how pixels reach the network.
        seed: of the draw, if there are more than MOST_IMAGES training images; otherwise it changes nothing.
        on_epoch: called once, as after an epoch.

    Returns:
        The history of a fit of one epoch.

    Raises:
        RunError: features are not finite.

    """
    import keras

    started = time.perf_counter()
    last = model.layers[-1]
    backbone = keras.Model(model.inputs[0], last.input)
    images, counts = _drawn(inputs.train, seed)

    def features(positions: Positions) -> NDArray[np.float32]:
        found = [backbone.predict_on_batch(one) for one in _batches(shards, positions, normalisation)]
        return np.concatenate([np.asarray(one, np.float32) for one in found])

    logger.info("features of %d training and %d validation images", len(images), len(inputs.validation))
    read, labels = features(images), inputs.labels[images]
    kernel, bias = regress(read, labels, counts)
    last.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    trained, validated = (
        _measures(
            features(positions) if positions is not images else read, inputs.labels[positions], kernel, bias
        )
        for positions in (images, inputs.validation)
    )
    values = {
        "loss": trained["loss"],
        "accuracy": trained["accuracy"],
        **{f"val_{name}": value for name, value in validated.items()},
    }
    seconds = time.perf_counter() - started
    measured = len(images) + len(inputs.validation)
    on_epoch(1, {**values, "seconds": seconds, "images_per_second": measured / seconds, "waited": 0.0})
    return {name: [value] for name, value in values.items()}


def regress(
    features: NDArray[np.float32], labels: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multinomial logistic regression with balanced classes on standardised features, as one linear layer.

    Args:
        features: float32 (n, d).
        labels: class numbers, shape (n,); every class at least once.
        counts: how often each row counts, shape (n,), 1 or more.

    Returns:
        Kernel (d, 7) and bias (7,) on the features as they are, float64.

    Raises:
        RunError: a feature is not finite.

    """
    from sklearn.linear_model import LogisticRegression

    if not np.isfinite(features).all():
        raise RunError("the features of the training images are not finite: start from other --weights")
    values = features.astype(np.float64)
    mean = np.average(values, axis=0, weights=counts)
    deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=counts))
    deviation[deviation < 1e-6] = 1.0  # a feature that never changes says nothing
    regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=MOST_STEPS)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning)  # also scikit-learn's ConvergenceWarning
        regression.fit((values - mean) / deviation, labels, sample_weight=counts)
    kernel = regression.coef_.T / deviation[:, None]
    bias: NDArray[np.float64] = regression.intercept_ - mean @ kernel
    return kernel, bias


def _drawn(train: Positions, seed: int) -> tuple[Positions, NDArray[np.int64]]:
    """The training images, each once, and how often each counts; MOST_IMAGES of them if there are more."""
    images, counts = np.unique(train, return_counts=True)
    if len(images) > MOST_IMAGES:
        rows = np.sort(np.random.default_rng([seed, MOST_IMAGES]).permutation(len(images))[:MOST_IMAGES])
        images, counts = images[rows], counts[rows]
    return images, counts


def _batches(
    shards: Sequence[Pixels], positions: Positions, normalisation: Normalisation
) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(positions), BATCH):
        yield network_input(gather(shards, positions[start : start + BATCH]), normalisation)


def _measures(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    kernel: NDArray[np.float64],
    bias: NDArray[np.float64],
) -> dict[str, float]:
    """Loss, accuracy and balanced accuracy of a linear layer with softmax."""
    logits = features.astype(np.float64) @ kernel + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    of_truth = probabilities[np.arange(len(labels)), labels]
    measured = measure(labels, probabilities)
    return {
        "loss": float(-np.log(np.maximum(of_truth, 1e-7)).mean()),
        "accuracy": measured["accuracy"],
        "balanced_accuracy": measured["balanced_accuracy"],
    }
