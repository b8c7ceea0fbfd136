"""What a WebP costs, by its chunks: libwebp takes memory for all of the canvas as soon as it opens a file."""

from __future__ import annotations

from skinml.images.budget import (
    LOSSLESS_WEBP_BYTES,
    WEBP_BYTES,
    check_bytes,
    check_pixels,
    refuse_count,
    resizing_bytes,
)

MAX_CHUNKS = 2_000
"""Frames of an animation and all else: libwebp keeps a record of each, and the first frame is the image."""


def check_cost(data: bytes, size: int) -> None:
    """Refuse a canvas that takes more memory than an image may, and thousands of frames.

    Args:
        data: the file.
        size: edge of the pixels to come, in px.
    """
    chunks, position, canvas, lossless = 0, 12, (0, 0), False
    while position + 8 <= len(data):
        chunks += 1
        if chunks > MAX_CHUNKS:
            refuse_count("more chunks of a WebP", MAX_CHUNKS)
        kind, start = data[position : position + 4], position + 8
        found = (0, 0)
        if kind == b"VP8X":
            found = (_little(data, start + 4, 3) + 1, _little(data, start + 7, 3) + 1)
        elif kind == b"VP8L":
            bits = _little(data, start + 1, 4)
            found, lossless = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), True
        elif kind == b"VP8 ":
            found = (_little(data, start + 6, 2) & 0x3FFF, _little(data, start + 8, 2) & 0x3FFF)
        elif kind == b"ANMF":
            lossless = lossless or data[start + 16 : start + 20] == b"VP8L"
        canvas = max(canvas, found, key=lambda edges: edges[0] * edges[1])
        length = _little(data, position + 4, 4)
        position = start + length + length % 2
    check_pixels(*canvas)
    pixels = canvas[0] * canvas[1]
    needed = pixels * (LOSSLESS_WEBP_BYTES if lossless else WEBP_BYTES) + 2 * len(data)
    what = f"{canvas[0]} x {canvas[1]} px, {'lossless ' * lossless}WebP"
    check_bytes(needed + resizing_bytes(*canvas, size), what)


def _little(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "little")
