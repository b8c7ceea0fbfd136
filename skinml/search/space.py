"""The space of a search, in keras-tuner: what AutoKeras's image classifier tunes around its `ConvBlock`.

Names, values and defaults are those of autokeras 3.0.0 (`blocks/basic.py`, `blocks/heads.py`,
`blocks/preprocessing.py`, `graph.py`). What differs:

- dropout 0.3 and a dense layer of 32 without activation, so that the thesis's network lies in the space;
- filters exist for those blocks and layers alone that a network has; AutoKeras keeps the others' values, so
  that one network may be tried twice under two names;
- no zoom: AutoKeras tunes it and then does not apply it;
- no other block types (ResNet, Xception, EfficientNet): the thesis's network is of `ConvBlock`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from skinml.models.searched_structure import KERNELS, MOST_BLOCKS, MOST_LAYERS, Structure

if TYPE_CHECKING:
    import keras_tuner

Value = bool | int | float | str
Values = Mapping[str, Value]
"""Hyperparameters by name; those that a network does not have are not there."""

VERSION = 1
"""Of the space and of how proposals are made: another one, and nothing is taken over from an earlier search."""

INITIAL: Values = {
    "image/normalise": True,
    "image/augment": False,
    "convolution/kernel": 3,
    "convolution/separable": False,
    "convolution/pooling": True,
    "convolution/blocks": 1,
    "convolution/layers": 2,
    "convolution/filters_1_1": 32,
    "convolution/filters_1_2": 64,
    "convolution/dropout": 0.25,
    "head/reduction": "flatten",
    "head/dense": 0,
    "head/dropout": 0.5,
    "optimizer": "adam",
    "learning_rate": 0.001,
}
"""What AutoKeras tries first (`tuners/task_specific.py`)."""

THESIS: Values = {
    "image/normalise": False,
    "image/augment": False,
    "convolution/kernel": 3,
    "convolution/separable": False,
    "convolution/pooling": True,
    "convolution/blocks": 3,
    "convolution/layers": 1,
    "convolution/filters_1_1": 256,
    "convolution/filters_2_1": 128,
    "convolution/filters_3_1": 64,
    "convolution/dropout": 0.3,
    "head/reduction": "flatten",
    "head/dense": 32,
    "head/dropout": 0.0,
    "optimizer": "adam",
    "learning_rate": 0.001,
}
"""The thesis's network, and how it fits it."""

Optimizer = Literal["adam", "sgd", "adam_weight_decay"]


def load_keras_tuner() -> None:
    """Import keras-tuner without what TensorFlow prints when it is loaded: a dozen lines that help nobody.

    They come from C++, so file descriptor 2 itself points elsewhere meanwhile. An error is raised as usual.
    """
    if "keras_tuner" in sys.modules:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - no path, a device
            os.dup2(nowhere.fileno(), 2)
        import keras_tuner  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def make_space() -> keras_tuner.HyperParameters:
    """The space. Each call makes a new one, because keras-tuner's objects change as they are used."""
    load_keras_tuner()
    import keras_tuner

    space = keras_tuner.HyperParameters()
    space.Boolean("image/normalise", default=False)
    space.Boolean("image/augment", default=False)
    with space.conditional_scope("image/augment", [True]):
        space.Choice("image/augmentation/shift", [0.0, 0.1])
        space.Boolean("image/augmentation/horizontal_flip", default=True)
        space.Boolean("image/augmentation/vertical_flip", default=True)
        space.Choice("image/augmentation/rotation", [0.0, 0.1])
        space.Choice("image/augmentation/contrast", [0.0, 0.1])
    space.Choice("convolution/kernel", list(KERNELS), default=3)
    space.Boolean("convolution/separable", default=False)
    space.Boolean("convolution/pooling", default=True)
    blocks, layers = list(range(1, MOST_BLOCKS + 1)), list(range(1, MOST_LAYERS + 1))
    space.Choice("convolution/blocks", blocks, default=2)
    space.Choice("convolution/layers", layers, default=2)
    for block in blocks:
        for layer in layers:
            space.Choice(f"convolution/filters_{block}_{layer}", [16, 32, 64, 128, 256, 512], default=32)
    space.Choice("convolution/dropout", [0.0, 0.25, 0.3, 0.5], default=0.0)
    space.Choice("head/reduction", ["flatten", "max", "mean"])
    space.Choice("head/dense", [0, 32])
    space.Choice("head/dropout", [0.0, 0.25, 0.5], default=0.0)
    space.Choice("optimizer", ["adam", "sgd", "adam_weight_decay"], default="adam")
    space.Choice("learning_rate", [1e-1, 1e-2, 1e-3, 1e-4, 2e-5, 1e-5], default=1e-3)
    return space


def has(values: Values, name: str) -> bool:
    """Whether a network with these blocks and layers has a hyperparameter: filters are of some networks alone.

    keras-tuner could say so of one condition, not of two that stand side by side.
    """
    if "/filters_" not in name:
        return True
    block, layer = map(int, name.rpartition("filters_")[2].split("_"))
    return block <= int(values["convolution/blocks"]) and layer <= int(values["convolution/layers"])


def structure_of(values: Values, colours: tuple[float, ...] = ()) -> Structure:
    """The network that values describe.

    Args:
        values: a point of the space.
        colours: mean and standard deviation of red, green and blue of the training images, each 0 to 1, for
            networks that normalise by them.
    """
    found: dict[str, Any] = dict(values)
    blocks, layers = found["convolution/blocks"], found["convolution/layers"]
    return Structure(
        filters=tuple(
            tuple(found[f"convolution/filters_{block}_{layer}"] for layer in range(1, layers + 1))
            for block in range(1, blocks + 1)
        ),
        kernel=found["convolution/kernel"],
        separable=found["convolution/separable"],
        pooling=found["convolution/pooling"],
        dropout=found["convolution/dropout"],
        reduction=found["head/reduction"],
        dense=found["head/dense"],
        head_dropout=found["head/dropout"],
        normalise=colours if found["image/normalise"] else (),
    )


@dataclass(frozen=True)
class Fitting:
    """How a trial fits its network.

    Attributes:
        optimizer: adam_weight_decay: AdamW with a decay of 0.01, whose learning rate falls evenly to 0.
        learning_rate: its highest.
        shift: by which fraction of the edge images are shifted at most.
        horizontal_flip, vertical_flip: whether half of them are mirrored so.
        rotation: by which fraction of a turn they are rotated at most.
        contrast: by which fraction their contrast is changed at most.
    """

    optimizer: Optimizer = "adam"
    learning_rate: float = 0.001
    shift: float = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    rotation: float = 0.0
    contrast: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether images are shifted, flipped or rotated."""
        return bool(self.shift or self.horizontal_flip or self.vertical_flip or self.rotation)


def fitting_of(values: Values) -> Fitting:
    """How values say that their network is fitted."""
    found: dict[str, Any] = dict(values)
    names = ("shift", "horizontal_flip", "vertical_flip", "rotation", "contrast")
    augmentation = {name: found[f"image/augmentation/{name}"] for name in names if found["image/augment"]}
    return Fitting(found["optimizer"], found["learning_rate"], **augmentation)
