"""Logistic regression on the features of ImageNet's EfficientNet-Lite0: what every other model must beat.

Only the last layer is fitted (`training.probe`), in minutes on a CPU. It reads the channel means of five
layers, not those of the last one alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from skinml.labels import DIAGNOSES
from skinml.models.zoo.efficientnet_lite0 import ARCHITECTURE as BACKBONE
from skinml.models.zoo.efficientnet_lite0 import SCALE
from skinml.models.zoo.families.efficientnet_lite import SIZE, backbone, convert

if TYPE_CHECKING:
    import keras

TAPS = tuple(f"{block}_expand_relu" for block in ("block2b", "block3b", "block4c", "block5c", "block6d"))
"""The widest layer of the last block of five stages: 2,688 channels, from edges to parts of objects.
Balanced accuracy on HAM10000's validation lesions: 0.606; of the first layers of five stages 0.602, and of the
last layer of the network alone, 1,280 channels, 0.552."""

EDGE = 4
"""Places along an edge of `cells`: what the last of these layers has. The others are averaged to it, which
changes no mean over all places."""


def build() -> keras.Model:
    """The network up to the last of TAPS with random weights, their maps side by side, and one dense layer."""
    from keras import Model, layers

    pixels, top = backbone(SCALE, SIZE)
    whole = Model(pixels, top)
    maps = []
    for name in TAPS:
        found = whole.get_layer(name).output
        factor = found.shape[1] // EDGE
        pooled = layers.AveragePooling2D(factor, name=f"{name}_averaged")
        maps.append(pooled(found) if factor > 1 else found)
    values = layers.Concatenate(name="cells")(maps)
    values = layers.GlobalAveragePooling2D(name="pooled")(values)
    probabilities = layers.Dense(len(DIAGNOSES), activation="softmax", name="probabilities")(values)
    return Model(pixels, probabilities, name="linear-probe")


ARCHITECTURE = replace(
    BACKBONE,
    name="linear-probe",
    build=build,
    convert=partial(convert, scale=SCALE, last=TAPS[-1].replace("_relu", "_norm")),
    cells="cells",
    frozen=True,
)
