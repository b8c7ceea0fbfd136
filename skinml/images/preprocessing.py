"""The preprocessing of images: part of the name of a dataset and of every model bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from skinml.images.choices import RESIZE_FILTER, Aspect, Colour, DecodeMode

ShardFormat = Literal["npy", "parquet"]

Normalisation = Literal["raw", "imagenet"]
"""The normalisation of a network's input: `raw` keeps 0 to 255; for `imagenet` see `network_input`."""

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's red, green and blue, 0 to 1, as its pre-trained networks expect."""

OMITTED = {"colour": "as_stored", "aspect": "stretch", "normalisation": "raw"}
"""Defaults that manifests and names of datasets leave out; older ones were all made with them."""


@dataclass(frozen=True)
class Preprocessing:
    """How to make the square uint8 RGB pixels of a shard from a file, and a network's input from those.

    Older bundles and datasets do not name the last three: see OMITTED.

    Attributes:
        size: edge of the square in px.
        decode: `fast` or `exact`, see `images.decode`.
        filter: the resize filter.
        colour: what to do with pixels that have a colour profile other than sRGB.
        aspect: what to do with images that are not square.
        normalisation: the normalisation of the network's input. Shards do not depend on it.

    """

    size: int
    decode: DecodeMode = "fast"
    filter: str = RESIZE_FILTER
    colour: Colour = "as_stored"
    aspect: Aspect = "stretch"
    normalisation: Normalisation = "raw"

    def dataset_key(self, stored_as: ShardFormat = "npy") -> str:
        """Return the folder name of such a dataset.

        Example:
            >>> Preprocessing(size=64, colour="srgb").dataset_key()
            '64px-fast-bicubic-srgb-npy'
        """
        chosen = [name for name in (self.colour, self.aspect) if name not in OMITTED.values()]
        return "-".join([f"{self.size}px", self.decode, self.filter, *chosen, stored_as])

    def to_json(self) -> dict[str, Any]:
        """Return the entry for a manifest."""
        return {name: value for name, value in asdict(self).items() if OMITTED.get(name) != value}


def preprocessing_for(
    size: int, mode: DecodeMode, normalisation: Normalisation = "raw", aspect: Aspect = "stretch"
) -> Preprocessing:
    """Return the preprocessing of a new dataset: `fast` converts to sRGB, `exact` keeps Pillow's pixels."""
    colour: Colour = "srgb" if mode == "fast" else "as_stored"
    return Preprocessing(size, mode, colour=colour, aspect=aspect, normalisation=normalisation)


def network_input(pixels: NDArray[np.uint8], normalisation: Normalisation) -> NDArray[np.float32]:
    """Convert pixels to a network's input, in the same way for training, measuring and scoring.

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
