"""Refuse a WebP by its chunks if it would cost too much: libwebp allocates the whole canvas on opening."""

from __future__ import annotations

from skinml.images.budget import check_bytes, check_pixels, refuse_count, resizing_bytes

LOADED_BYTES = 12
"""Bytes per pixel after loading: libwebp's two canvases, which exist while the file is open, and the image."""

LOADING_BYTES = 16
"""Bytes per pixel during loading: the same, and the copy of a canvas from which Pillow makes the image."""

SLACK_BYTES = 6_000_000
"""Memory for rows and tables of the decoder."""

MAX_CHUNKS = 2_000
"""Limit of chunks, such as frames of an animation: libwebp keeps a record of each; the first frame is the
image."""


def check_cost(data: bytes, size: int) -> None:
    """Refuse a canvas that takes too much memory, and thousands of frames.

    Args:
        data: the bytes of the file.
        size: edge of the resized image in px.
    """
    chunks, position, canvas = 0, 12, (0, 0)
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
            found = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        elif kind == b"VP8 ":
            found = (_little(data, start + 6, 2) & 0x3FFF, _little(data, start + 8, 2) & 0x3FFF)
        canvas = max(canvas, found, key=lambda edges: edges[0] * edges[1])
        length = _little(data, position + 4, 4)
        position = start + length + length % 2
    check_pixels(*canvas)
    pixels = canvas[0] * canvas[1]
    resizing = resizing_bytes(*canvas, size)
    needed = len(data) + max(LOADING_BYTES * pixels + SLACK_BYTES, LOADED_BYTES * pixels + resizing)
    check_bytes(needed, f"{canvas[0]} x {canvas[1]} px, WebP")


def _little(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "little")
