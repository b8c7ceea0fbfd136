"""Decode JPEGs with libjpeg-turbo at a reduced scale, and refuse those with missing pixels."""

from __future__ import annotations

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from skinml.errors import ImageRejected, Reason
from skinml.images.budget import (
    MAX_ARITHMETIC_PIXELS,
    MAX_BLOCK_VISITS,
    MAX_PIXELS,
    MAX_SCALED_PIXELS,
    check_bytes,
    check_pixels,
    coefficient_bytes,
    pixel_bytes,
    refuse_count,
    resizing_bytes,
)
from skinml.images.jpeg_header import ARITHMETIC, PROFILE, PROGRESSIVE, Header, join_profile

MAX_SCANS = 200
"""Limit of the scans of a progressive JPEG: encoders write about ten, and each costs a pass over all blocks."""

MAX_PLAIN_SEGMENTS = 100
"""Limit of the segments of a plain JPEG: nearly all have fewer than 10."""


def plain_profile(data: bytes) -> bytes | None:
    """Return the colour profile of a plain JPEG, b"" if it has none; None if the JPEG is not plain.

    Nearly all JPEGs are plain: one scan, no rotation, so no further checks are needed. A JPEG is not plain if
    its header is unusual, if an APP1 segment (EXIF, XMP) may rotate the image, if a JFIF or Adobe segment is
    too short (which Pillow refuses), or if it has several scans.
    """
    position, last, components = 2, len(data) - 10, -1
    pieces: list[bytes] = []
    for _ in range(MAX_PLAIN_SEGMENTS):
        if position > last or data[position] != 0xFF:
            return None
        marker, length = data[position + 1], data[position + 2] << 8 | data[position + 3]
        if marker == 0xDA:  # start of scan: the header ends here
            whole = components > 0 and data[position + 4] == components
            return (join_profile(pieces) or b"") if whole else None
        if marker in (0xC0, 0xC1):  # a frame that is not progressive
            components = data[position + 9]
        elif marker >= 0xE0:
            if marker == 0xE1 or (marker == 0xE0 and length < 16) or (marker == 0xEE and length < 14):
                return None
            if marker == 0xE2 and data.startswith(PROFILE, position + 4):
                pieces.append(data[position + 4 : position + 2 + length])
        position += 2 + length
    return None


def check_cost(data: bytes, header: Header, mode: str, size: int, *, scaled: bool) -> None:
    """Refuse a JPEG that is too expensive, by its header and its number of scans.

    Args:
        data: the bytes of the file.
        header: its header.
        mode: the mode to which Pillow decodes it.
        size: edge of the resized image in px.
        scaled: True if it is decoded at a reduced scale (`decode_scaled`), False if in full by Pillow.
    """
    width, height, sampling = header.width, header.height, header.sampling
    check_pixels(width, height, MAX_SCALED_PIXELS if scaled else MAX_PIXELS)
    if header.frame in ARITHMETIC:
        check_pixels(width, height, MAX_ARITHMETIC_PIXELS)
    needed = scaled_bytes(width, height, size) if scaled else width * height * pixel_bytes(mode)
    what = f"{width} x {height} px, JPEG of mode {mode}"
    if min((factor for pair in sampling for factor in pair), default=0) and (
        header.frame in PROGRESSIVE or data[header.scan + 4 : header.scan + 5] != bytes([len(sampling) % 256])
    ):
        scans = data.count(b"\xff\xda", header.scan)  # FF DA is the start of a scan
        kept = coefficient_bytes(width, height, sampling)
        needed += kept
        if scans > MAX_SCANS or scans * kept // 128 > MAX_BLOCK_VISITS:
            refuse_count(f"{scans:,} scans of {what}", min(MAX_SCANS, MAX_BLOCK_VISITS * 128 // kept))
        what += f", {scans} scans"
    check_bytes(len(data) + needed + resizing_bytes(width, height, size), what)


def shape_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height in px of a colour JPEG; None for others, and if the header cannot be read."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (width, height) if colours in ("YCbCr", "RGB") else None


def scale_for(width: int, height: int, edge: int) -> int:
    """Return the scale in eighths at which `decode_scaled` decodes."""
    if min(width, height) < 2 * edge:
        return 8
    return next(eighths for eighths in (1, 2, 3, 4) if min(width, height) * eighths >= 8 * edge)


def scaled_bytes(width: int, height: int, size: int) -> int:
    """Return the bytes that `decode_scaled` needs for the pixels of a JPEG that is resized to `size` px."""
    eighths = scale_for(width, height, 2 * size)
    return 3 * (-(-width * eighths // 8)) * (-(-height * eighths // 8))


def decode_scaled(data: bytes, width: int, height: int, edge: int) -> NDArray[np.uint8] | None:
    """Decode a JPEG at 1/8, 1/4, 3/8 or 1/2 with both edges >= `edge` px, else in full; uint8 RGB (h, w, 3).

    5/8, 6/8 and 7/8 are not used: they are slower than a full decode (742 and 829 us against 531 at 600x450)
    and, without a fast inverse DCT of their own, less accurate (47 dB against 57 at 128 px). Returns None if
    Pillow must
    decide: libjpeg-turbo refuses more than Pillow does, for example stray bytes.

    Raises:
        ImageRejected: pixels are missing.
    """
    least = edge if scale_for(width, height, edge) < 8 else 0
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB", min_height=least, min_width=least)
    except ValueError as error:
        _judge(error)
        return None
    return pixels


def check_whole(data: bytes, colours: str) -> None:
    """Refuse a JPEG whose scans end before the last pixel; Pillow would fill the rest with grey.

    Args:
        data: the bytes of the file.
        colours: the mode that Pillow found.
    """
    space = {"L": "GRAY", "CMYK": "CMYK"}.get(colours, "RGB")
    try:
        simplejpeg.decode_jpeg(data, space, min_height=1, min_width=1)  # at 1/8, which is cheap
    except ValueError as error:
        _judge(error)


def _judge(error: ValueError) -> None:
    """Reject the image if libjpeg-turbo reports missing pixels; leave all other errors to Pillow."""
    text = str(error).lower()
    if "premature end" in text or "found marker 0xd9 instead" in text:  # D9 is the end of the image
        raise ImageRejected(Reason.TRUNCATED, str(error)) from error
    if "bad huffman" in text or "instead of rst" in text:
        raise ImageRejected(Reason.DECODE_ERROR, str(error)) from error
