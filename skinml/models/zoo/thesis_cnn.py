"""The thesis's network: three convolutions for images of 32 px, fitted from random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skinml.errors import RunError
from skinml.labels import DIAGNOSES
from skinml.models.zoo.base import Architecture

if TYPE_CHECKING:
    import keras

PARAMETERS = 384_455
"""What the thesis's summary of its network prints, and so what ours must have."""

FEATURES = "pool_1"
"""What the second convolution reads; dropout does nothing at scoring. Early features, not those of the last
dense layer: on this network fitted on HAM10000, with 1 % of held-out images flagged, the early ones flagged
all of noise, black and white frames, drawn text, drawn scenes and inverted images; the late ones none of
noise, frames and text, 9 % of the inverted and 75 % of the scenes: what the classes do not differ by is gone
by then."""

CELLS = "pool_3"
"""2 x 2 cells. The two dense layers behind it have no activation between them, so they are one linear map."""

QUANTISABLE = ("Conv", "Relu", "Clip", "MaxPool")
"""Convolutions, where the time goes, and what follows them, so that no bit of a result is spent on values
that the activation cuts off (on HAM10000 1.7 % of the predicted classes changed without that, 1.2 % with it).
Dense layers stay in fp32: they took no measurable time and gave two thirds of the error (a probability
differed by 0.0058 on average with them, by 0.0019 without)."""


def build() -> keras.Model:
    """256-128-64 convolutions, each pooled and dropped out, then Dense 32 and 7.

    The thesis divides its pixels by 255 beforehand; here that is the first layer, which has no parameters.
    """
    import keras

    model = keras.Sequential(name="thesis_cnn")
    model.add(keras.layers.Input((32, 32, 3), name="pixels"))
    model.add(keras.layers.Rescaling(1 / 255))
    for number, filters in enumerate((256, 128, 64), 1):
        model.add(keras.layers.Conv2D(filters, 3, activation="relu"))
        model.add(keras.layers.MaxPooling2D(2, name=f"pool_{number}"))
        model.add(keras.layers.Dropout(0.3))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(32))  # no activation: as the thesis has it
    model.add(keras.layers.Dense(len(DIAGNOSES), activation="softmax", name="probabilities"))
    if model.count_params() != PARAMETERS:
        raise RunError(
            f"thesis-cnn has {model.count_params():,} parameters, not {PARAMETERS:,}:"
            f" Keras {keras.__version__} builds another network; install the versions in constraints.txt"
        )
    return model


ARCHITECTURE = Architecture(
    name="thesis-cnn",
    size=32,
    build=build,
    features=FEATURES,
    cells=CELLS,
    quantisable=QUANTISABLE,
    licence="Apache-2.0",
)
