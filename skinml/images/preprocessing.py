"""How pixels are made from a file: part of the name of a dataset and of every model bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from skinml.images.colour import Colour
from skinml.images.decode import RESIZE_FILTER, DecodeMode

ShardFormat = Literal["npy", "parquet"]


@dataclass(frozen=True)
class Preprocessing:
    """Edge of the square pixels in px, decode mode, resize filter, colours. Pixels are uint8 RGB, 0 to 255.

    `colour` is what becomes of pixels with another colour profile than sRGB. Bundles and datasets from before
    there was a choice do not name it: theirs are as stored.
    """

    size: int
    decode: DecodeMode = "fast"
    filter: str = RESIZE_FILTER
    colour: Colour = "as_stored"

    def dataset_key(self, stored_as: ShardFormat = "npy") -> str:
        """The folder name of a dataset made this way, such as `64px-fast-bicubic-srgb-npy`."""
        colour = "" if self.colour == "as_stored" else f"-{self.colour}"
        return f"{self.size}px-{self.decode}-{self.filter}{colour}-{stored_as}"

    def to_json(self) -> dict[str, Any]:
        """What a manifest records. Colours as stored are not named, as before there was a choice."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("colour", "as_stored")}


def preprocessing_for(size: int, mode: DecodeMode) -> Preprocessing:
    """How pixels of a new dataset are made: in sRGB where that is not to be Pillow's own pixels (`exact`)."""
    return Preprocessing(size, mode, colour="srgb" if mode == "fast" else "as_stored")
