"""What one image may cost, and what it will cost by its header: refused before its pixels take memory.

Peak over the resting size in MB, measured with rusage on Pillow 13.0 (libjpeg-turbo 3.2, libwebp 1.6,
libtiff 4.7), each file in a process of its own (`python -m tests.hostile.cost NAME`), and what is expected:

| file                                               | bytes a pixel         | measured | expected |
|----------------------------------------------------|-----------------------|----------|----------|
| 8,000 x 8,000 px, PNG or BMP of mode 1, L or P     | 1                     | 94       | 102      |
| the same of 16 bits (I;16)                         | 2                     | 155      | 166      |
| the same of mode RGB, RGBA, LA                     | 4                     | 282      | 294      |
| TIFF in strips: RGB, CMYK, I, F                    | 4                     | 290      | 295      |
| TIFF in one strip: 16 bits                         | 2, and the strip 2    | 258      | 294      |
| JPEG decoded in full: RGB, CMYK                    | 4                     | 299      | 294      |
| JPEG, 4:2:0, progressive, at a scale               | coefficients 3        | 207      | 231      |
| 6,000 x 6,000 px, JPEG, 4:4:4, the same            | coefficients 6        | 225      | 257      |
| 4,900 x 4,900 px, WebP                             | 16: see `webp`        | 390      | 390      |
| 16,000 x 1,000 px, BMP in run lengths              | 3                     | 63       | 80       |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from skinml.errors import ImageRejected, Reason

MAX_BYTES = 400_000_000
"""The most memory that one image may take over what the worker has without it."""

MAX_PIXELS = 64_000_000
"""8,000 x 8,000 decoded in full: two to four CPU seconds, whatever the format."""

MAX_SCALED_PIXELS = 128_000_000
"""Of a JPEG that is decoded at a scale (mode `fast`): a third of the time, and no memory for all pixels."""

MAX_BLOCK_VISITS = 30_000_000
"""Blocks of 8 x 8 px times scans of a progressive JPEG. Ten scans of 24 million pixels without subsampling
visit 11 million. A scan of nothing costs 8 to 60 ns a block, and mode `exact` goes over a JPEG twice."""

MAX_ARITHMETIC_PIXELS = 4_000_000
"""Of a JPEG in arithmetic coding, which takes 15 times as long as Huffman's, with or without data to decode."""

WORKING_BYTES = 24_000_000
"""For strips on their way to RGB, buffers of the decoders, and what the allocator keeps."""

PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Bytes that Pillow keeps of a pixel, by mode; four in all others (RGB, RGBA, LA, PA, CMYK, I, F, ...)."""


def pixel_bytes(mode: str) -> int:
    """Bytes that Pillow keeps of a pixel."""
    return PIXEL_BYTES.get(mode, 4)


def check_pixels(width: int, height: int, most: int = MAX_PIXELS) -> None:
    """Refuse by the number of pixels, which is what decoding takes time for."""
    if width * height > most:
        raise ImageRejected(Reason.TOO_LARGE, f"more than {most:,} pixels: {width} x {height} px")


def check_bytes(needed: int, what: str) -> None:
    """Refuse by the memory that decoding would take, in bytes."""
    if needed > MAX_BYTES:
        raise ImageRejected(
            Reason.TOO_LARGE,
            f"decoding takes about {needed / 1e6:,.0f} MB, an image may take {MAX_BYTES / 1e6:.0f} MB: {what}",
        )


def refuse_count(found: str, most: int) -> NoReturn:
    """Refuse a file of so many parts that going through them costs more than its pixels do.

    Args:
        found: how many of what.
        most: how many of them an image may have.
    """
    raise ImageRejected(Reason.TOO_LARGE, f"{found}: an image may have {most:,}")


def resizing_bytes(width: int, height: int, size: int) -> int:
    """What resizing takes beside the image: the longer edge by `size` px between the two passes, four times."""
    return 12 * size * max(width, height) + WORKING_BYTES


def coefficient_bytes(width: int, height: int, sampling: Sequence[tuple[int, int]]) -> int:
    """What libjpeg keeps of a JPEG of several scans: two bytes a coefficient, of whole blocks.

    Args:
        width: in px.
        height: in px.
        sampling: horizontal and vertical sampling factor of each component.
    """
    across, down = max(one for one, _ in sampling), max(two for _, two in sampling)
    blocks = 0
    for one, two in sampling:
        blocks += (width * one // across // 8 + 2) * (height * two // down // 8 + 2)
    return 128 * blocks
