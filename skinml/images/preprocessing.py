"""How pixels are made from a file: part of the name of a dataset and of every model bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from skinml.images.decode import RESIZE_FILTER, DecodeMode

ShardFormat = Literal["npy", "parquet"]


@dataclass(frozen=True)
class Preprocessing:
    """Edge of the square pixels in px, decode mode, resize filter. Pixels are uint8 RGB, 0 to 255."""

    size: int
    decode: DecodeMode = "fast"
    filter: str = RESIZE_FILTER

    def dataset_key(self, stored_as: ShardFormat = "npy") -> str:
        """The folder name of a dataset made this way, such as `64px-fast-bicubic-npy`."""
        return f"{self.size}px-{self.decode}-{self.filter}-{stored_as}"

    def to_json(self) -> dict[str, Any]:
        """What a manifest records."""
        return asdict(self)
