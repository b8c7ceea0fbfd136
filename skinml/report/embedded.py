"""Pictures that are part of a page: small PNG files, and data: URIs that need no other file."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 100

COLOURS = 160
"""Of a small PNG: a figure of lines, text and one colour map needs no more, and takes half of the bytes."""


def small_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file with a palette: 20 to 40 kB for a confusion matrix."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DOTS_PER_INCH)
    small = io.BytesIO()
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


def data_uri(picture: bytes) -> str:
    """Return a PNG or JPEG file as a data: URI.

    Example:
        >>> data_uri(bytes([0x89]) + b"PNG...")
        'data:image/png;base64,iVBORy4uLg=='
    """
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
