"""The EfficientNet-Lite networks: their layers, and their ImageNet weights from files of PyTorch tensors.

EfficientNet (Tan & Le, ICML 2019) without squeeze-and-excitation and with ReLU6, so that it takes little to
compute and loses little in 8 bits. The definition follows Google's `efficientnet_lite_builder.py` and the
package `efficientnet-lite-pytorch`, whose weights these are: pixels become (x - 127) / 128, and padding is
TensorFlow's "same". tests/unit/models/zoo/test_efficientnet_lite.py compares features with that definition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.models.pretrained.torch_file import read_tensors
from skinml.models.zoo.base import Architecture, NamedArrays, Weights

if TYPE_CHECKING:
    import keras

SIZE = 128
"""px. The originals read 224 to 260. On HAM10000 an EfficientNet-Lite0 that was fine-tuned at 168 px had a
balanced accuracy of 0.751, at 128 px 0.740 to 0.775, and Lite2 at 168 px 0.746 (single runs): more pixels cost
1.7 times the time and gave nothing that could be shown. Lite1 and Lite2 read 128 px too, so that all three
train on the same shards."""

SMALLEST = 32
"""px. Five strides of 2 leave one cell of it."""

STEM, HEAD = 32, 1280
"""Channels of the first and the last convolution, the same in all three (`fix_head_stem`)."""

MEAN, DEVIATION = 127.0, 128.0
"""Of pixel values, as `efficientnet_lite_builder.py` has them."""

EPSILON, MOMENTUM = 1e-3, 0.99
"""Of batch normalisation."""

CELLS = "top_relu"
"""Behind it come average pooling and one dense layer alone."""

FEATURES = "block3b_add"
QUANTISABLE = ("Conv", "Clip", "Add")


@dataclass(frozen=True)
class Stage:
    """Inverted residual blocks in a row: how many, kernel edge, stride of the first, expansion, channels."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""Of Lite0. Lite1 and Lite2 have more of them and wider ones (`scaled`)."""


@dataclass(frozen=True)
class Scale:
    """How a member of the family differs from Lite0.

    Attributes:
        name: of the Keras model.
        width: factor of channels.
        depth: factor of repeats.
        dropout: fraction dropped before the last layer.

    """

    name: str
    width: float
    depth: float
    dropout: float


@dataclass(frozen=True)
class Block:
    """One inverted residual block: its layers' names begin with `name`."""

    name: str
    kernel: int
    stride: int
    expand: int
    channels: int


def scaled(scale: Scale) -> list[Block]:
    """The blocks of a member, called block1a, block2a, block2b and so on: stage and place in it.

    Channels are rounded to multiples of 8, but not down by more than 10 %. The first and last entry of STAGES
    are not repeated more often.
    """
    found = []
    for number, stage in enumerate(STAGES, 1):
        channels = _rounded(stage.channels * scale.width)
        fixed = number in {1, len(STAGES)}
        repeats = stage.repeats if fixed else math.ceil(stage.repeats * scale.depth)
        for letter, stride in zip(ascii_lowercase, [stage.stride, *[1] * (repeats - 1)], strict=False):
            found.append(Block(f"block{number}{letter}", stage.kernel, stride, stage.expand, channels))
    return found


def _rounded(channels: float, divisor: int = 8) -> int:
    """The multiple of 8 nearest to it, but no less than nine tenths of it."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest


def build(scale: Scale, size: int = SIZE) -> keras.Model:
    """A member with random weights and a head of seven classes.

    Args:
        scale: which one.
        size: edge of the input in px, SMALLEST or more.

    """
    from keras import Model, layers

    pixels, values = backbone(scale, size)
    values = layers.GlobalAveragePooling2D(name="pooled")(values)
    values = layers.Dropout(scale.dropout, name="dropout")(values)
    probabilities = layers.Dense(len(DIAGNOSES), activation="softmax", name="probabilities")(values)
    return Model(pixels, probabilities, name=scale.name)


def backbone(scale: Scale, size: int) -> tuple[Any, Any]:
    """The Keras tensors that a member begins with, its pixels, and ends with, the layer CELLS."""
    from keras import layers

    def normalised(values: Any, name: str, active: bool = True) -> Any:
        values = layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, name=f"{name}_norm")(values)
        return layers.ReLU(6.0, name=f"{name}_relu")(values) if active else values

    conv = partial(layers.Conv2D, padding="same", use_bias=False, kernel_initializer="he_normal")
    pixels = layers.Input((size, size, 3), name="pixels")
    values = layers.Rescaling(1 / DEVIATION, offset=-MEAN / DEVIATION, name="rescaled")(pixels)
    values = normalised(conv(STEM, 3, strides=2, name="stem_conv")(values), "stem")
    channels = STEM
    for block in scaled(scale):
        name, before = block.name, values
        if block.expand != 1:
            values = conv(channels * block.expand, 1, name=f"{name}_expand_conv")(values)
            values = normalised(values, f"{name}_expand")
        values = layers.DepthwiseConv2D(
            block.kernel, strides=block.stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
        )(values)
        values = normalised(values, f"{name}_depthwise")
        values = conv(block.channels, 1, name=f"{name}_project_conv")(values)
        values = normalised(values, f"{name}_project", active=False)
        if block.stride == 1 and block.channels == channels:
            values = layers.Add(name=f"{name}_add")([values, before])
        channels = block.channels
    return pixels, normalised(conv(HEAD, 1, name="top_conv")(values), "top")


def convert(data: bytes, name: str, scale: Scale, last: str = "top_norm") -> NamedArrays:
    """The weights of all layers up to `last`, in the order of `build`, from a file of PyTorch tensors.

    Args:
        data: the file, with the names of `efficientnet-lite-pytorch`.
        name: what messages call it.
        scale: which member it should be of.
        last: the last layer with weights that is wanted.

    Raises:
        RequestError: it is no such file, or it lacks a tensor that this member has.

    """
    tensors = read_tensors(data, name)
    found: NamedArrays = []
    for layer, part in _layers(scale):
        wanted = [f"{part}.{kind}" for kind in (NORM if "_bn" in part else CONV)]
        missing = [key for key in wanted if key not in tensors]
        if missing:
            raise RequestError(
                f"{name}: is of another architecture than {scale.name}: it has no {missing[0]}, the weights of"
                f" layer {layer}"
            )
        found.append((part, [_turned(layer, tensors[key]) for key in wanted]))
        if layer == last:
            break
    return found


CONV, NORM = ("weight",), ("weight", "bias", "running_mean", "running_var")


def _layers(scale: Scale) -> list[tuple[str, str]]:
    """Each layer with weights but the last, and the name of its part of the file."""
    found = [("stem_conv", "_conv_stem"), ("stem_norm", "_bn0")]
    for number, block in enumerate(scaled(scale)):
        ours, theirs = block.name, f"_blocks.{number}"
        steps = (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2"))
        for step, norm in steps if block.expand != 1 else steps[1:]:
            found.append((f"{ours}_{step}_conv", f"{theirs}._{step}_conv"))
            found.append((f"{ours}_{step}_norm", f"{theirs}.{norm}"))
    return [*found, ("top_conv", "_conv_head"), ("top_norm", "_bn1")]


def _turned(layer: str, values: NDArray[Any]) -> NDArray[np.float32]:
    """PyTorch's kernels (out, in, h, w) as Keras has them: (h, w, in, out), depthwise (h, w, out, 1)."""
    if values.ndim != 4:
        return values.astype(np.float32)
    order = (2, 3, 0, 1) if layer.endswith("depthwise_conv") else (2, 3, 1, 0)
    return values.transpose(order).astype(np.float32)


def architecture(scale: Scale, weights: Weights) -> Architecture:
    """The entry of the zoo for a member."""
    return Architecture(
        name=scale.name,
        size=SIZE,
        build=partial(build, scale),
        features=FEATURES,
        cells=CELLS,
        quantisable=QUANTISABLE,
        licence="Apache-2.0",
        weights=weights,
        convert=partial(convert, scale=scale),
        smallest=SMALLEST,
    )
