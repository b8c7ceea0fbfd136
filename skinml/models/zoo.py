"""The architectures by name: their input size, and how to build them with untrained weights.

Names and sizes are looked up without loading Keras; only `build()` imports it. Models are made of `keras`
layers alone, so every Keras backend can train them, and each begins with its own scaling of raw pixel
values: training and scoring cannot drift apart over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skinml.errors import RequestError, RunError
from skinml.labels import DIAGNOSES

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Architecture:
    """One entry of the zoo.

    Attributes:
        name: what the command line calls it.
        size: edge of the square input, in px.
        build: a new model with untrained weights. Input (batch, size, size, 3) float32, RGB, raw pixel
            values 0 to 255; output (batch, 7) probabilities in the order of `labels.DIAGNOSES`.

    """

    name: str
    size: int
    build: Callable[[], keras.Model]


def architecture(name: str) -> Architecture:
    """The architecture of this name; any other name is a RequestError that lists the known ones."""
    if name not in ARCHITECTURES:
        raise RequestError(f"no architecture is called {name!r}; known: {', '.join(sorted(ARCHITECTURES))}")
    return ARCHITECTURES[name]


DEFAULT = "thesis-cnn"
"""The architecture that `train` fits and `prepare` makes pixels for, where none is named."""


def input_size(name: str | None, size: int | None) -> int:
    """The edge in px of the pixels to make: what this architecture (or the default one) reads, or `size`.

    Raises:
        RequestError: there is no such architecture, or it reads another size than the given one.
    """
    reads = architecture(name or DEFAULT).size
    if name is not None and size not in {None, reads}:
        raise RequestError(f"--size {size} contradicts --for {name}, which reads {reads} px: give one of them")
    return size or reads


THESIS_CNN_PARAMETERS = 384_455
"""What the thesis's summary of its network prints, and so what ours must have."""


def _thesis_cnn() -> keras.Model:
    """The thesis's network: 256-128-64 convolutions, each pooled and dropped out, then Dense 32 and 7.

    The thesis divides its pixels by 255 beforehand; here that is the first layer, which has no parameters.
    """
    import keras

    model = keras.Sequential(name="thesis_cnn")
    model.add(keras.layers.Input((32, 32, 3), name="pixels"))
    model.add(keras.layers.Rescaling(1 / 255))
    for filters in (256, 128, 64):
        model.add(keras.layers.Conv2D(filters, 3, activation="relu"))
        model.add(keras.layers.MaxPooling2D(2))
        model.add(keras.layers.Dropout(0.3))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(32))  # no activation: as the thesis has it
    model.add(keras.layers.Dense(len(DIAGNOSES), activation="softmax", name="probabilities"))
    if model.count_params() != THESIS_CNN_PARAMETERS:
        raise RunError(
            f"thesis-cnn has {model.count_params():,} parameters, not {THESIS_CNN_PARAMETERS:,}:"
            f" Keras {keras.__version__} builds another network; install the versions in constraints.txt"
        )
    return model


ARCHITECTURES: dict[str, Architecture] = {
    entry.name: entry for entry in (Architecture(name="thesis-cnn", size=32, build=_thesis_cnn),)
}
"""Every architecture, by name."""
