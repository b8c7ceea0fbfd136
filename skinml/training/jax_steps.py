"""Take steps on JAX: one compiled function a step, which the processor only starts.

Keras's own loops wait for each step's loss (`train_on_batch`) or spend a millisecond of Python on each (`fit`).
A GPU takes less than that for a batch of 16 images of 32 px.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from skinml.images.preprocessing import Normalisation, network_input
from skinml.training.batch import Batch

if TYPE_CHECKING:
    import keras

Loss = Callable[[Any, Any], Any]
"""Losses (b,) of targets and probabilities, both (b, 7)."""


class JaxSteps:
    """The compiled step of a compiled model, and what it has started last. It has state: a class."""

    def __init__(self, model: keras.Model, loss: Loss, normalisation: Normalisation) -> None:
        """Compile nothing yet.

        Args:
            model: with an optimiser that was built.
            loss: as the model was compiled with.
            normalisation: how pixels reach the network.

        """
        self._model = model
        self._normalisation = normalisation
        self._step = _compile(model, loss)
        self._started: Any = None

    def is_busy(self) -> bool:
        """Whether the device still works on steps, so that nobody waits for the next batch."""
        return self._started is not None and not self._started.is_ready()

    def fit(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Take a step on each batch, and leave the weights in the model; the means of loss and accuracy."""
        import jax.numpy as jnp

        model, images = self._model, 0
        kinds = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
        state = [[variable.value for variable in variables] for variables in kinds]
        sums = jnp.zeros(2)
        for batch in batches:
            # Bytes travel in a quarter of the time of floats.
            pixels: Any = batch.pixels
            if self._normalisation != "raw":
                pixels = network_input(batch.pixels, self._normalisation)
            weights = np.ones(len(pixels), np.float32) if batch.weights is None else batch.weights
            *state, sums = self._step(*state, sums, pixels, batch.targets, weights)
            images += len(pixels)
            self._started = sums
        for variables, values in zip(kinds, state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._started = None
        loss, right = (float(value) for value in sums)
        return {"loss": loss / images, "accuracy": right / images}


def _compile(model: keras.Model, loss: Loss) -> Callable[..., tuple[Any, ...]]:
    import jax
    import jax.numpy as jnp

    optimiser = model.optimizer

    def objective(
        trainable: Any, rest: Any, pixels: Any, targets: Any, weights: Any
    ) -> tuple[Any, tuple[Any, Any]]:
        found, rest, extra = model.stateless_call(trainable, rest, pixels, training=True, return_losses=True)
        right = jnp.sum(jnp.argmax(found, axis=-1) == jnp.argmax(targets, axis=-1))
        return jnp.mean(loss(targets, found) * weights) + sum(extra), (rest, right)

    gradient = jax.value_and_grad(objective, has_aux=True)

    @partial(jax.jit, donate_argnums=(0, 1, 2, 3))
    def step(
        trainable: Any, rest: Any, slots: Any, sums: Any, pixels: Any, targets: Any, weights: Any
    ) -> tuple[Any, ...]:
        (value, (rest, right)), gradients = gradient(
            trainable, rest, pixels.astype("float32"), targets, weights
        )
        trainable, slots = optimiser.stateless_apply(slots, gradients, trainable)
        return trainable, rest, slots, sums + jnp.stack([value * len(pixels), right.astype("float32")])

    compiled: Callable[..., tuple[Any, ...]] = step
    return compiled
