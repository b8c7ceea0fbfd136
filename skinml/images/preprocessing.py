"""How pixels are made from a file: part of the name of a dataset and of every model bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from skinml.images.colour import Colour
from skinml.images.decode import RESIZE_FILTER, DecodeMode
from skinml.images.resize import Aspect

ShardFormat = Literal["npy", "parquet"]

Normalisation = Literal["raw", "imagenet"]
"""How the values of pixels reach a network: `raw`, as they are, 0 to 255; `imagenet`, see `network_input`."""

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, on a scale of 0 to 1: what its pre-trained networks were fitted with."""

OMITTED = {"colour": "as_stored", "aspect": "stretch", "normalisation": "raw"}
"""Values that a manifest and a dataset's name do not say: what all were made with before there was a choice."""


@dataclass(frozen=True)
class Preprocessing:
    """How a file becomes the square uint8 RGB pixels of a shard, and those become the network's input.

    Bundles and datasets from before there was a choice of the last three do not name them: see OMITTED.

    Attributes:
        size: edge of the square in px.
        decode: `fast` or `exact`, see `images.decode`.
        filter: of the resizing.
        colour: what becomes of pixels with another colour profile than sRGB.
        aspect: what becomes of images that are not square.
        normalisation: how the values of pixels reach the network. Shards do not depend on it.

    """

    size: int
    decode: DecodeMode = "fast"
    filter: str = RESIZE_FILTER
    colour: Colour = "as_stored"
    aspect: Aspect = "stretch"
    normalisation: Normalisation = "raw"

    def dataset_key(self, stored_as: ShardFormat = "npy") -> str:
        """The folder name of a dataset made this way, such as `64px-fast-bicubic-srgb-npy`."""
        chosen = [name for name in (self.colour, self.aspect) if name not in OMITTED.values()]
        return "-".join([f"{self.size}px", self.decode, self.filter, *chosen, stored_as])

    def to_json(self) -> dict[str, Any]:
        """What a manifest records."""
        return {name: value for name, value in asdict(self).items() if OMITTED.get(name) != value}


def preprocessing_for(
    size: int, mode: DecodeMode, normalisation: Normalisation = "raw", aspect: Aspect = "stretch"
) -> Preprocessing:
    """How pixels of a new dataset are made: in sRGB where that is not to be Pillow's own pixels (`exact`)."""
    colour: Colour = "srgb" if mode == "fast" else "as_stored"
    return Preprocessing(size, mode, colour=colour, aspect=aspect, normalisation=normalisation)


def network_input(pixels: NDArray[np.uint8], normalisation: Normalisation) -> NDArray[np.float32]:
    """Pixels as a network takes them: the one place that fitting, measuring and scoring ask.

    Args:
        pixels: uint8 (..., 3), RGB.
        normalisation: `raw`: the values as they are, 0 to 255. `imagenet`: (values / 255 - mean) / deviation of
            each channel with ImageNet's, in float32.

    Returns:
        float32 of the same shape.

    """
    values = pixels.astype(np.float32)
    if normalisation == "raw":
        return values
    values /= np.float32(255)
    values -= np.array(IMAGENET_MEAN, np.float32)
    values /= np.array(IMAGENET_DEVIATION, np.float32)
    return values
