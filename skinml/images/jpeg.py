"""JPEG by libjpeg-turbo: decoded at a scale, and refused where pixels are missing that Pillow would make up."""

from __future__ import annotations

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from skinml.errors import ImageRejected, Reason

MAX_SCANS = 200
"""Scans of a progressive JPEG: encoders write about ten, and each costs a pass over all its blocks."""


def is_plain(data: bytes) -> bool:
    """Whether a JPEG is in one scan and lies as it was taken, as nearly all are, and needs no second look.

    False where the header is odd, where an APP1 segment (EXIF, XMP) may turn the image, where JFIF or Adobe end
    early (which Pillow refuses), and where there are more scans than one.
    """
    position, components = 2, -1
    while data[position : position + 1] == b"\xff":
        marker = data[position + 1 : position + 2]
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == b"\xda":  # start of scan: the header is over
            return data[position + 4 : position + 5] == bytes([components]) if components > 0 else False
        if marker == b"\xe1" or (marker == b"\xe0" and length < 16) or (marker == b"\xee" and length < 14):
            return False
        if marker in (b"\xc0", b"\xc1"):  # a frame that is not progressive
            components = data[position + 9] if position + 9 < len(data) else -1
        position += 2 + length
    return False


def shape_of(data: bytes) -> tuple[int, int] | None:
    """Width and height in px of a colour JPEG; None for others, and where the header cannot be read."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (width, height) if colours in ("YCbCr", "RGB") else None


def decode_scaled(data: bytes, width: int, height: int, edge: int) -> NDArray[np.uint8] | None:
    """A JPEG decoded at 1/8, 1/4, 3/8 or 1/2 with both edges >= `edge` px, else in full; uint8 RGB (h, w, 3).

    5/8, 6/8 and 7/8 are left out: they decode slower than the whole does (742 and 829 us against 531 at
    600x450) and, having no fast inverse DCT of their own, come out less like it (47 dB against 57 at 128 px).
    None where Pillow shall judge: libjpeg-turbo refuses more than Pillow does, such as stray bytes.

    Raises:
        ImageRejected: pixels are missing.
    """
    least = edge if min(width, height) >= 2 * edge else 0
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB", min_height=least, min_width=least)
    except ValueError as error:
        _judge(error)
        return None
    return pixels


def check_scans(data: bytes) -> None:
    """Refuse a JPEG that costs a pass over its blocks again and again. FF DA is the start of a scan."""
    if data.count(b"\xff\xda") > MAX_SCANS:
        raise ImageRejected(Reason.DECODE_ERROR, f"more than {MAX_SCANS} scans in one JPEG")


def check_whole(data: bytes, colours: str) -> None:
    """Refuse a JPEG whose header promises more than its scans hold, which Pillow fills with grey.

    Args:
        data: the file.
        colours: the mode that Pillow found.
    """
    space = {"L": "GRAY", "CMYK": "CMYK"}.get(colours, "RGB")
    try:
        simplejpeg.decode_jpeg(data, space, min_height=1, min_width=1)  # at 1/8: hardly more than reading it
    except ValueError as error:
        _judge(error)


def _judge(error: ValueError) -> None:
    """Refuse where libjpeg-turbo says that pixels are missing; let pass what Pillow shall judge."""
    text = str(error).lower()
    if "premature end" in text or "found marker 0xd9 instead" in text:  # D9 is the end of the image
        raise ImageRejected(Reason.TRUNCATED, str(error)) from error
    if "bad huffman" in text or "instead of rst" in text:
        raise ImageRejected(Reason.DECODE_ERROR, str(error)) from error
