"""Take the training steps of a fit on any Keras backend, and give the weights to measure and to keep.

Keras computes the steps; what is here is which layers learn, by which optimiser, and which weights count: the
network's own or their moving average.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.images.preprocessing import network_input
from skinml.models.zoo.base import Architecture
from skinml.training.batch import Batch
from skinml.training.jax_steps import JaxSteps
from skinml.training.jobs import Start
from skinml.training.losses import Shares, make_loss
from skinml.training.settings import Settings
from skinml.training.start import build_model

if TYPE_CHECKING:
    import keras

HEAD_LEARNING_RATE = 0.001
"""Of the last layer alone: Keras's default for Adam."""

State = dict[str, NDArray[Any]]
"""Everything that a fit needs to continue, by name."""


class Learner:
    """A network that is being fitted. It has state: a class.

    Attributes:
        model: is fitted.
        scorer: has the weights that count once `settle` was called, and computes in float32; may be `model`.

    """

    def __init__(
        self, shape: Architecture, start: Start, settings: Settings, shares: Shares, steps: int, epochs: int
    ) -> None:
        """Build the network; what its start leaves open is of Keras's random state.

        Args:
            shape: its architecture.
            start: the weights that it starts from.
            settings: how to fit.
            shares: of the classes in what is drawn.
            steps: a whole epoch's.
            epochs: in all, with those of the head.

        """
        self.model = _build(shape, start, settings)
        apart = settings.average > 0 or settings.precision != "float32"
        self.scorer = shape.build() if apart else self.model
        self._normalisation = shape.normalisation
        self._settings = settings
        self._loss = make_loss(settings, shares)
        self._steps, self._epochs = steps, epochs
        self._learning = [layer for layer in self.model.layers if layer.trainable]
        self._phase: str | None = None
        self._jax: JaxSteps | None = None

    def begin(self, epoch: int) -> None:
        """Choose the layers that learn and their optimiser, as this epoch (counted from 1) needs them."""
        phase = "head" if epoch <= self._settings.head_epochs else "all"
        if phase == self._phase:
            return
        import keras

        head = next(layer for layer in reversed(self.model.layers) if layer.weights)
        for layer in self._learning:
            layer.trainable = phase == "all" or layer is head
        self._phase = phase
        self.model.compile(
            optimizer=self._optimiser(phase),
            loss=self._loss,
            metrics=["accuracy"],
            # XLA on a CPU takes 10 times as long for the thesis's convolutions (30 against 300 images/s); other
            # backends know best themselves.
            jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
        )
        self.model.optimizer.build(self.model.trainable_variables)
        if keras.backend.backend() == "jax":
            loss = keras.losses.categorical_crossentropy if isinstance(self._loss, str) else self._loss
            self._jax = JaxSteps(self.model, loss, self._normalisation)

    def is_busy(self) -> bool:
        """Whether a device works on earlier batches, so that it does not wait for the next one."""
        return self._jax is not None and self._jax.is_busy()

    def fit(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Take a step on each batch; the means of loss and accuracy over their images.

        Stops at a loss that is not finite, which it returns (on JAX at the end of the epoch).
        """
        if self._jax is not None:
            return self._jax.fit(batches)
        images, loss, right = 0, 0.0, 0.0
        for batch in batches:
            found = self.model.train_on_batch(
                network_input(batch.pixels, self._normalisation),
                batch.targets,
                sample_weight=batch.weights,
                return_dict=True,
            )
            count = len(batch.pixels)
            images += count
            loss += count * float(found["loss"])
            right += count * float(found["accuracy"])
            if not math.isfinite(loss):
                break
        return {"loss": loss / images, "accuracy": right / images}

    def settle(self) -> list[NDArray[Any]]:
        """Give the scorer the weights that count: the moving average, if there is one. Return these weights."""
        if self.scorer is not self.model:
            self.scorer.set_weights(self.model.get_weights())
            if self._settings.average:
                twins = {
                    id(variable): twin
                    for variable, twin in zip(self.model.weights, self.scorer.weights, strict=True)
                }
                learnt = [twins[id(variable)] for variable in self.model.trainable_variables]
                self.model.optimizer.finalize_variable_values(learnt)
                # On JAX both share their memory now, which predicting gives back. Copies do not.
                self.scorer.set_weights(self.scorer.get_weights())
        weights: list[NDArray[Any]] = self.scorer.get_weights()
        return weights

    def state(self) -> State:
        """A copy of what a fit needs to continue after this epoch: weights, random states, optimiser."""
        return {
            name: np.array(variable.numpy() if hasattr(variable, "numpy") else variable)
            for name, variable in self._variables().items()
        }

    def restore(self, state: State) -> None:
        """Continue from a state. `begin` must have been called for its epoch.

        Raises:
            ValueError: it is the state of another network or optimiser.

        """
        variables = self._variables()
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        if shapes != {name: value.shape for name, value in state.items()}:
            raise ValueError("its arrays are not those of this network and optimiser")
        for name, variable in variables.items():
            variable.assign(state[name])

    def _variables(self) -> dict[str, Any]:
        """All variables of network and optimiser but the metrics, by a name that says their place."""
        measures = {id(variable) for variable in self.model.metrics_variables}
        own = [variable for variable in self.model.variables if id(variable) not in measures]
        named = {f"network-{number}": variable for number, variable in enumerate(own)}
        optimiser = self.model.optimizer.variables
        return named | {f"optimiser-{number}": variable for number, variable in enumerate(optimiser)}

    def _optimiser(self, phase: str) -> keras.Optimizer:
        import keras

        settings = self._settings
        epochs = settings.head_epochs if phase == "head" else self._epochs - settings.head_epochs
        steps = max(1, epochs * self._steps)
        average: dict[str, Any] = {}
        if settings.average:
            average = {"use_ema": True, "ema_momentum": average_decay(settings.average, steps)}
        if phase == "head":
            return keras.optimizers.Adam(HEAD_LEARNING_RATE, **average)
        rate: Any = settings.learning_rate
        if settings.schedule == "cosine" or settings.warm_up:
            rate = learning_rate(settings, self._steps, steps)
        if settings.weight_decay:
            optimiser = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, **average)
            # Gains and offsets stay: shrinking them has no use, and those of batch normalisation hurt.
            flat = [variable for variable in self.model.trainable_variables if len(variable.shape) < 2]
            optimiser.exclude_from_weight_decay(var_list=flat)
            return optimiser
        return keras.optimizers.Adam(rate, **average)


def average_decay(decay: float, steps: int) -> float:
    """The decay of the moving average: as asked, or so that it covers at most a tenth of all steps."""
    return min(decay, max(0.0, 1 - 10 / steps))


def learning_rate(settings: Settings, steps_an_epoch: int, steps: int) -> Any:
    """The schedule of the learning rate as Keras has it: a linear warm-up, then half a cosine or nothing."""
    import keras

    warm_up = min(round(settings.warm_up * steps_an_epoch), steps - 1)
    warming: dict[str, Any] = {}
    if warm_up:
        warming = {"warmup_target": settings.learning_rate, "warmup_steps": warm_up}
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up else settings.learning_rate,
        decay_steps=steps - warm_up,
        # At 1 the cosine stays where it begins: a warm-up and then a constant rate.
        alpha=0.0 if settings.schedule == "cosine" else 1.0,
        **warming,
    )


def _build(shape: Architecture, start: Start, settings: Settings) -> keras.Model:
    """The network; its layers compute in the precision of the settings, the last one in float32."""
    if settings.precision == "float32":
        return build_model(shape, start)
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(shape, start)
    finally:
        keras.config.set_dtype_policy(before)
    return _last_in_float32(model)


def _last_in_float32(model: keras.Model) -> keras.Model:
    """Probabilities in bfloat16 would have two digits."""
    model.layers[-1].dtype_policy = "float32"
    return model
