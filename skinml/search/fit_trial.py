"""Fit the network of one trial on the search's images, and measure it on the validation images.

In memory and without an export: 700 images of 32 px have 2 MB. The best network is fitted again by
`training.fit`, as every other version is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.evaluation.metrics import measure
from skinml.labels import DIAGNOSES
from skinml.models.zoo import architecture
from skinml.search.images import Images
from skinml.search.space import Fitting
from skinml.search.trials import Measured

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 32
"""AutoKeras's."""

PATIENCE, LEAST_GAIN = 10, 1e-4
"""AutoKeras ends a trial whose validation loss has not fallen by so much for so many epochs."""

WEIGHT_DECAY = 0.01
"""Of adam_weight_decay, as in AutoKeras."""

_PREDICT_BATCH = 64


def fit_trial(model: str, fitting: Fitting, images: Images, epochs: int, seed: int) -> Measured:
    """Fit a network and measure it after each epoch.

    Args:
        model: the architecture.
        fitting: optimiser, learning rate and augmentation.
        images: of the search.
        epochs: at most.
        seed: of weights, order, dropout and augmentation.

    Raises:
        RunError: the loss is no longer finite.

    """
    import keras

    keras.utils.set_random_seed(seed)
    network = architecture(model).build()
    learner = _with_augmentation(network, fitting)
    steps = -(-len(images.train) // BATCH_SIZE)
    learner.compile(
        optimizer=_optimizer(fitting, steps * epochs),
        loss="categorical_crossentropy",
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",  # see training.fit
    )
    pixels = images.train.astype(np.float32)
    targets = np.eye(len(DIAGNOSES), dtype=np.float32)[images.train_labels]
    watched = images.validation.astype(np.float32)
    started = time.perf_counter()
    seen: list[tuple[float, float, float]] = []
    for epoch in range(1, epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(pixels))
        fitted = learner.fit(pixels[order], targets[order], batch_size=BATCH_SIZE, shuffle=False, verbose=0)
        loss = float(fitted.history["loss"][0])
        probabilities = np.asarray(network.predict(watched, batch_size=_PREDICT_BATCH, verbose=0), np.float64)
        if not (np.isfinite(loss) and np.isfinite(probabilities).all()):
            raise RunError(f"the loss is {loss} in epoch {epoch}: the fit diverged")
        seen.append(_measured(images.validation_labels, probabilities))
        if _has_stalled([one[2] for one in seen]):
            break
    best = int(np.argmax([one[0] for one in seen]))
    balanced, accuracy, loss = seen[best]
    return Measured(
        balanced_accuracy=balanced,
        accuracy=accuracy,
        loss=loss,
        best_epoch=best + 1,
        epochs=len(seen),
        history=[round(one[0], 4) for one in seen],
        seconds=round(time.perf_counter() - started, 3),
    )


def _measured(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> tuple[float, float, float]:
    """Balanced accuracy, accuracy and loss."""
    measured = measure(labels, probabilities)
    of_truth = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(of_truth, 1e-7)).mean())  # clipped where Keras clips
    return measured["balanced_accuracy"], measured["accuracy"], loss


def _has_stalled(losses: list[float]) -> bool:
    """Whether the last PATIENCE epochs have not lowered the loss by LEAST_GAIN."""
    if len(losses) <= PATIENCE:
        return False
    return min(losses[-PATIENCE:]) > min(losses[:-PATIENCE]) - LEAST_GAIN


def _optimizer(fitting: Fitting, steps: int) -> Any:
    import keras

    if fitting.optimizer == "sgd":
        return keras.optimizers.SGD(fitting.learning_rate)
    if fitting.optimizer == "adam":
        return keras.optimizers.Adam(fitting.learning_rate)
    falling = keras.optimizers.schedules.PolynomialDecay(fitting.learning_rate, steps, end_learning_rate=0.0)
    return keras.optimizers.AdamW(falling, weight_decay=WEIGHT_DECAY, epsilon=1e-6)


def _with_augmentation(network: keras.Model, fitting: Fitting) -> keras.Model:
    """The network behind layers that change pixels of 0 to 255 while it is fitted; the network itself if none.

    They are no part of the network: tf2onnx cannot export them. AutoKeras normalises before them, and
    RandomContrast then cuts off all negative values.
    """
    import keras

    layers: list[Any] = []
    if fitting.shift:
        layers.append(keras.layers.RandomTranslation(fitting.shift, fitting.shift))
    if fitting.horizontal_flip or fitting.vertical_flip:
        ways = {"horizontal": fitting.horizontal_flip, "vertical": fitting.vertical_flip}
        layers.append(keras.layers.RandomFlip("_and_".join(way for way, flips in ways.items() if flips)))
    if fitting.rotation:
        layers.append(keras.layers.RandomRotation(fitting.rotation))
    if fitting.contrast:
        layers.append(keras.layers.RandomContrast(fitting.contrast))
    if not layers:
        return network
    return keras.Sequential([keras.layers.Input(network.input_shape[1:]), *layers, network])
