"""Limits of memory and time for one image, and estimates from its header, before pixels take memory.

Peak memory above the idle process in MB, measured with rusage on Pillow 13.0 (libjpeg-turbo 3.2, libwebp 1.6,
libtiff 4.7), each file in a process of its own (`python -m tests.hostile.cost NAME`), and the estimate:

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
"""The most memory that decoding one image may add to a worker."""

MAX_PIXELS = 64_000_000
"""8,000 x 8,000 px, decoded in full: two to four CPU seconds in any format."""

MAX_SCALED_PIXELS = 128_000_000
"""Limit of a JPEG that is decoded at a reduced scale (mode `fast`): a third of the time, and less memory."""

MAX_BLOCK_VISITS = 30_000_000
"""Blocks of 8 x 8 px times scans of a progressive JPEG. Ten scans of 24 million pixels without subsampling
visit 11 million. A scan of nothing costs 8 to 60 ns a block, and mode `exact` goes over a JPEG twice."""

MAX_ARITHMETIC_PIXELS = 4_000_000
"""Limit of a JPEG with arithmetic coding, which takes 15 times as long as Huffman coding."""

WORKING_BYTES = 24_000_000
"""For strips during conversion to RGB, buffers of the decoders, and what the allocator keeps."""

PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Bytes per pixel in Pillow, by mode; four in all other modes (RGB, RGBA, LA, PA, CMYK, I, F, ...)."""


def pixel_bytes(mode: str) -> int:
    """Return Pillow's bytes per pixel."""
    return PIXEL_BYTES.get(mode, 4)


def check_pixels(width: int, height: int, most: int = MAX_PIXELS) -> None:
    """Refuse an image with too many pixels, which would take too long to decode."""
    if width * height > most:
        raise ImageRejected(Reason.TOO_LARGE, f"more than {most:,} pixels: {width} x {height} px")


def check_bytes(needed: int, what: str) -> None:
    """Refuse an image that would take too much memory to decode."""
    if needed > MAX_BYTES:
        raise ImageRejected(
            Reason.TOO_LARGE,
            f"decoding would take about {needed / 1e6:,.0f} MB, the limit is {MAX_BYTES / 1e6:.0f} MB: {what}",
        )


def refuse_count(found: str, most: int) -> NoReturn:
    """Refuse a file with so many parts that reading them costs more than decoding its pixels.

    Args:
        found: what was found, with its number.
        most: the limit.
    """
    raise ImageRejected(Reason.TOO_LARGE, f"{found}: the limit is {most:,}")


def resizing_bytes(width: int, height: int, size: int) -> int:
    """Return the bytes that resizing adds: four times the longer edge by `size` px, between the two passes."""
    return 12 * size * max(width, height) + WORKING_BYTES


def coefficient_bytes(width: int, height: int, sampling: Sequence[tuple[int, int]]) -> int:
    """Return the bytes that libjpeg needs for a JPEG of several scans: two per coefficient, in whole blocks.

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
