"""Break image files in ways that happen in real archives."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

BOMB_EDGE = 30_000
"""Edge of the decompression bomb, px: 900 million pixels, 2.7 GB as RGB."""

_ERROR_PAGE = b"""<!DOCTYPE html>
<html>
<head><title>503 Service Unavailable</title></head>
<body><h1>Service Unavailable</h1><p>The server is temporarily unable to service your request.</p></body>
</html>
"""


def corrupted(jpeg: Callable[[], bytes], way: str, rng: np.random.Generator) -> bytes:
    """Return the bytes of an image file that is broken in this way.

    Args:
        jpeg: draws the intact JPEG; called only by ways that need it, because drawing is expensive.
        way: one of WAYS.
        rng: source of random numbers.

    Raises:
        KeyError: `way` is not one of WAYS.

    """
    return _WAYS[way](jpeg, rng)


def _empty(_jpeg: Callable[[], bytes], _rng: np.random.Generator) -> bytes:
    """An upload that never started: 0 bytes."""
    return b""


def _truncated(jpeg: Callable[[], bytes], rng: np.random.Generator) -> bytes:
    """An upload that was interrupted: the header is complete, the pixels are not."""
    whole = jpeg()
    return whole[: int(len(whole) * rng.uniform(0.4, 0.6))]


def _html(_jpeg: Callable[[], bytes], _rng: np.random.Generator) -> bytes:
    """A download that saved the server's error page."""
    return _ERROR_PAGE


def _garbage(_jpeg: Callable[[], bytes], rng: np.random.Generator) -> bytes:
    """A bad disk: random bytes above 127, with which no image format begins."""
    return rng.integers(128, 256, int(rng.integers(2_000, 20_000)), dtype=np.uint8).tobytes()


def _unsupported(jpeg: Callable[[], bytes], _rng: np.random.Generator) -> bytes:
    """An image, but a GIF."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(jpeg())) as image:
        image.reduce(2).convert("P").save(stream, format="GIF")
    return stream.getvalue()


@cache
def _bomb_bytes() -> bytes:
    """A sound one-bit greyscale PNG, all black: 110 kB, as deflate packs a thousand to one at most."""
    header = struct.pack(">IIBBBBB", BOMB_EDGE, BOMB_EDGE, 1, 0, 0, 0, 0)
    rows = bytes((1 + BOMB_EDGE // 8) * 1_000)  # each row: its filter (0, none), then eight pixels a byte
    packer = zlib.compressobj(level=9)
    packed = b"".join(packer.compress(rows) for _ in range(BOMB_EDGE // 1_000)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file: length, kind, content, CRC."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _bomb(_jpeg: Callable[[], bytes], _rng: np.random.Generator) -> bytes:
    """A decompression bomb: a small file that would fill the memory when decoded."""
    return _bomb_bytes()


_WAYS: dict[str, Callable[[Callable[[], bytes], np.random.Generator], bytes]] = {
    "empty": _empty,
    "truncated": _truncated,
    "html": _html,
    "garbage": _garbage,
    "unsupported": _unsupported,
    "bomb": _bomb,
}

WAYS: tuple[str, ...] = tuple(_WAYS)
"""The names of all ways of breaking a file."""
