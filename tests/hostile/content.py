"""What is said of a hostile file: its bytes, and the one right thing to do with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

DECODED = "decoded"
EMPTY = "empty"
BROKEN = "decode_error"
CUT = "truncated"
LARGE = "too_large"
OTHER = "unsupported_format"
NONE = "not_an_image"


@dataclass(frozen=True)
class Content:
    """A file's bytes and what is right: "decoded" or a reason; several where each of them is true."""

    name: str
    data: bytes
    right: tuple[str, ...]
    size: tuple[int, int] | None = None  # width and height in px upright, of what is decoded


def each(right: str | tuple[str, ...], files: dict[str, bytes]) -> Iterator[Content]:
    """These files, with which the same is to be done."""
    for name, data in files.items():
        yield Content(name, data, (right,) if isinstance(right, str) else right)


def sound(files: dict[str, bytes], size: tuple[int, int] = (48, 36)) -> Iterator[Content]:
    """These files, which are to be decoded and are so large, upright."""
    for name, data in files.items():
        yield Content(name, data, (DECODED,), size)
