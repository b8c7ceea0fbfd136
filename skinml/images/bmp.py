"""Refuse a BMP that costs too much, by its header: Pillow unpacks run lengths in Python, 0.25 us a byte."""

from __future__ import annotations

from PIL import Image

from skinml.images.budget import check_bytes, check_pixels, pixel_bytes, refuse_count, resizing_bytes

MAX_PACKED_BYTES = 4_000_000
"""Limit of a run-length encoded BMP: 0.25 us a byte, so one CPU second."""

MAX_PACKED_PIXELS = 16_000_000
"""Limit of a run-length encoded BMP: at worst 0.15 us a pixel, so 2.4 CPU seconds. Screenshots have 2 to 8
million."""

RUN_LENGTHS = (1, 2)


def check_cost(image: Image.Image, data: bytes, size: int) -> None:
    """Refuse a BMP whose run lengths take too long or whose pixels take too much memory.

    Args:
        image: opened, not loaded.
        data: the bytes of the file.
        size: edge of the resized image in px.
    """
    width, height = image.size
    needed = width * height * pixel_bytes(image.mode)
    if image.info.get("compression") in RUN_LENGTHS:
        check_pixels(width, height, MAX_PACKED_PIXELS)
        if len(data) > MAX_PACKED_BYTES:
            refuse_count(f"{len(data):,} bytes of a run-length encoded BMP", MAX_PACKED_BYTES)
        needed *= 3
    what = f"{width} x {height} px, BMP of mode {image.mode}"
    check_bytes(needed + resizing_bytes(width, height, size), what)
