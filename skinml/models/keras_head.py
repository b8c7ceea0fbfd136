"""Take the weights from cells to logits (`models.head`) from a Keras model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.models.head import Head

if TYPE_CHECKING:
    import keras


def linear_head(model: keras.Model, cells: str) -> Head:
    """The weights from the outputs of the layer `cells`, (batch, h, w, c), to the logits of the model.

    Raises:
        RunError: between this layer and the probabilities there is another layer than Dropout, one Flatten or
            GlobalAveragePooling2D, dense layers without activation, and the softmax.

    """
    names = [layer.name for layer in model.layers]
    if cells not in names:
        raise RunError(f"the model has no layer {cells!r} to take cells from; it has {', '.join(names)}")
    place = names.index(cells)
    height, width, channels = (int(edge) for edge in model.layers[place].output.shape[1:])
    kernel: NDArray[np.float64] | None = None  # none before a dense layer: cells as they are, in a row
    bias = np.zeros(0)
    reduced = pooled = ended = False
    for layer in model.layers[place + 1 :]:
        kind = type(layer).__name__
        activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
        if kind == "Dropout":
            continue
        if not reduced and kind in ("Flatten", "GlobalAveragePooling2D"):
            reduced, pooled = True, kind != "Flatten"
        elif reduced and not ended and kind == "Dense" and activation in ("linear", "softmax"):
            weights, *shift = (np.asarray(value, np.float64) for value in layer.get_weights())
            # No product with an identity matrix first: for 14 x 14 x 64 cells it would take 1.3 GB.
            before = np.zeros(weights.shape[1]) if kernel is None else bias @ weights
            kernel, bias = weights if kernel is None else kernel @ weights, before + sum(shift)
            ended = activation == "softmax"
        elif reduced and not ended and (kind == "Softmax" or activation == "softmax"):
            ended = True
        else:
            raise RunError(
                f"no class activation map from layer {cells!r}: {layer.name!r} ({kind}, {activation}) behind it"
                " is not linear; name a later layer as the architecture's cells, or none"
            )
    if not ended:
        raise RunError(f"no class activation map from layer {cells!r}: the model does not end with a softmax")
    shape = (1, 1, channels) if pooled else (height, width, channels)
    if kernel is None:  # the softmax is of the reduced cells themselves
        kernel = np.eye(int(np.prod(shape)))
        bias = np.zeros(len(kernel))
    return Head((kernel / (height * width) if pooled else kernel).reshape(*shape, -1), bias)
