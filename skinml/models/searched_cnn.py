"""Networks of a structure that `search` found: an architecture for each structure, named by its text."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.models.searched_structure import NAME, SIZE, Structure, padding, parse_structure
from skinml.models.zoo.base import Architecture

if TYPE_CHECKING:
    import keras

QUANTISABLE = ("Conv", "Relu", "Clip", "MaxPool")
"""As of thesis-cnn, whose kind of network this is."""


def searched_architecture(model: str) -> Architecture:
    """The architecture that a name such as `searched-cnn:filters=256-128-64,kernel=3` describes.

    Raises:
        RequestError: it names no structure, or one that is none of the space.

    """
    name, colon, text = model.partition(":")
    if not colon:
        raise RequestError(
            f"{name} alone names no network: run skinml search, or give {name}: and a structure, as the"
            f" manifest of a version has it: {name}:filters=256-128-64"
        )
    return architecture_of(parse_structure(text))


def architecture_of(structure: Structure) -> Architecture:
    """The architecture of a structure. Its `to_json` holds the structure, so a version can be fitted again."""
    linear = structure.reduction != "max"
    return Architecture(
        name=NAME,
        size=SIZE,
        build=partial(build, structure),
        features="block_1",
        cells=f"block_{len(structure.filters)}" if linear else None,
        quantisable=QUANTISABLE,
        structure=str(structure),
    )


def build(structure: Structure) -> keras.Model:
    """A new network of this structure, with random weights."""
    import keras

    layers = keras.layers
    model = keras.Sequential(name="searched_cnn")
    model.add(layers.Input((SIZE, SIZE, 3), name="pixels"))
    model.add(_scaling(structure))
    kind = layers.SeparableConv2D if structure.separable else layers.Conv2D
    for number, block in enumerate(structure.filters, 1):
        for place, filters in enumerate(block, 1):
            last = place == len(block) and not structure.pooling
            named = {"name": f"block_{number}"} if last else {}
            edge = model.output_shape[1]
            way = padding(edge, structure.kernel)
            model.add(kind(filters, structure.kernel, padding=way, activation="relu", **named))
        if structure.pooling:
            edge, window = model.output_shape[1], structure.kernel - 1
            model.add(layers.MaxPooling2D(window, padding=padding(edge, window), name=f"block_{number}"))
        if structure.dropout:
            model.add(layers.Dropout(structure.dropout))
    model.add(
        {
            "flatten": layers.Flatten,
            "mean": layers.GlobalAveragePooling2D,
            "max": layers.GlobalMaxPooling2D,
        }[structure.reduction]()
    )
    if structure.head_dropout:
        model.add(layers.Dropout(structure.head_dropout))
    if structure.dense:
        model.add(layers.Dense(structure.dense))
    model.add(layers.Dense(len(DIAGNOSES), activation="softmax", name="probabilities"))
    return model


def _scaling(structure: Structure) -> keras.layers.Layer:
    """Pixels of 0 to 255 to 0 to 1, or to a mean of 0 and a deviation of 1 for each colour."""
    import keras

    if not structure.normalise:
        return keras.layers.Rescaling(1 / 255)
    means, deviations = structure.normalise[:3], structure.normalise[3:]
    return keras.layers.Rescaling(
        [1 / 255 / one for one in deviations],
        [-mean / one for mean, one in zip(means, deviations, strict=True)],
    )
