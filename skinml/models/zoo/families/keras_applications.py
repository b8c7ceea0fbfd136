"""Networks from keras.applications: their layers, our rescaling before and our head behind them.

Their own preprocessing is left out: the Normalization in EfficientNetV2 exports a graph whose constants are
further inputs that nobody gives. A Rescaling does the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from skinml.labels import DIAGNOSES
from skinml.models.zoo.base import Architecture, Download

if TYPE_CHECKING:
    import keras

SIZE = 128
"""px: the same pixels as EfficientNet-Lite reads."""

SMALLEST = 32
"""px: what keras.applications asks for without its own head."""

CELLS = "cells"
"""Behind it come average pooling and one dense layer alone."""

DROPOUT = 0.2

Scale = float | tuple[float, float, float]
"""One number, or one for red, green and blue."""


def build(
    make: Callable[[Any, Any], keras.Model], name: str, scale: Scale, offset: Scale, size: int
) -> keras.Model:
    """The network of keras.applications with random weights, and a head of seven classes.

    Args:
        make: the network without head and preprocessing, given keras.applications and the tensor that it reads.
        name: of the Keras model.
        scale: what pixel values 0 to 255 are multiplied by.
        offset: what is then added.
        size: edge of the input in px.

    """
    from keras import Model, applications, layers

    pixels = layers.Input((size, size, 3), name="pixels")
    values = layers.Rescaling(scale, offset=offset, name="rescaled")(pixels)
    values = make(applications, values).output
    values = layers.Activation("linear", name=CELLS)(values)
    values = layers.GlobalAveragePooling2D(name="pooled")(values)
    values = layers.Dropout(DROPOUT, name="dropout")(values)
    probabilities = layers.Dense(len(DIAGNOSES), activation="softmax", name="probabilities")(values)
    return Model(pixels, probabilities, name=name)


def architecture(
    name: str,
    make: Callable[[Any, Any], keras.Model],
    scale: Scale,
    offset: Scale,
    features: str,
    quantisable: tuple[str, ...],
    weights: Download,
) -> Architecture:
    """The entry of the zoo for one of them; arguments as of `build` and `Architecture`."""
    return Architecture(
        name=name,
        size=SIZE,
        build=partial(build, make, name, scale, offset, SIZE),
        features=features,
        cells=CELLS,
        quantisable=quantisable,
        licence="Apache-2.0",
        weights=weights,
        smallest=SMALLEST,
    )
