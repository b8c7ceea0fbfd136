"""The loss of a fit, on any Keras backend, and the targets and weights that it takes.

A network gives probabilities, not logits: whoever scores reads them. So each loss here takes probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES
from skinml.training.settings import Settings

SMALLEST = 1e-7
"""Probabilities are clipped there, as Keras does."""

Shares = NDArray[np.float64]
"""Of each class in what is drawn, shape (7,), their sum is 1."""


def make_loss(settings: Settings, shares: Shares) -> str | Callable[[Any, Any], Any]:
    """The loss for Keras's `compile`: its own cross-entropy, or a function of targets and probabilities.

    Args:
        settings: `loss`, `focal_gamma` and `logit_adjustment`.
        shares: of the classes, which `logit_adjustment` takes as their prior.

    """
    gamma = settings.focal_gamma if settings.loss == "focal" else 0.0
    tau = settings.logit_adjustment
    if not gamma and not tau:
        return "categorical_crossentropy"
    prior = np.maximum(shares, SMALLEST) ** tau

    def loss(targets: Any, probabilities: Any) -> Any:
        from keras import ops

        targets = ops.cast(targets, "float32")
        found = ops.cast(probabilities, "float32")
        if tau:
            found = found * ops.convert_to_tensor(prior, "float32")
            found = found / ops.sum(found, axis=-1, keepdims=True)
        found = ops.clip(found, SMALLEST, 1.0)
        losses = -targets * ops.log(found)
        if gamma:
            losses = losses * ops.power(
                1.0 - found + SMALLEST, gamma
            )  # the derivative of 0^gamma may be infinite
        return ops.sum(losses, axis=-1)

    return loss


def make_targets(labels: NDArray[np.int64], smoothing: float) -> NDArray[np.float32]:
    """The target of each position, float32 (n, 7): 1 for its class, less what smoothing spreads over all seven.

    A position without a label (-1) has a row of zeros.
    """
    classes = len(DIAGNOSES)
    targets = np.zeros((len(labels), classes), np.float32)
    known = np.flatnonzero(labels >= 0)
    targets[known, labels[known]] = 1
    if smoothing:
        targets[known] = targets[known] * np.float32(1 - smoothing) + np.float32(smoothing / classes)
    return targets


def make_class_weights(shares: Shares, power: float) -> NDArray[np.float32] | None:
    """The weight of each class in the loss, proportional to share^-power; None if all are 1.

    Args:
        shares: of the classes in what is drawn.
        power: 0 to 1.

    Returns:
        Float32 (7,), whose mean over what is drawn is 1; 0 for a class that is not drawn.

    """
    if not power:
        return None
    weights = np.where(shares > 0, np.maximum(shares, SMALLEST) ** -power, 0)
    return np.asarray(weights / (weights * shares).sum(), dtype=np.float32)
