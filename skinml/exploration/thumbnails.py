"""Read the images that the page shows from their own files, small and in their own proportions."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from skinml.images.load import Fetched, Loaded, decode_image, read_images
from skinml.images.preprocessing import Preprocessing

EDGE = 160
"""The longer edge in px."""

QUALITY = 82
"""Of the JPEGs in the page: 4 kB each."""

RGB = NDArray[np.uint8]
"""Pixels, uint8 (h, w, 3)."""


def read_thumbnails(samples: pd.DataFrame) -> dict[str, RGB]:
    """Return pixels by uri. An image that is gone, has other bytes by now or cannot be decoded is left out.

    Args:
        samples: uri, etag, size_bytes and sha256 of the images to show; an image may be there twice.
    """
    rows = samples.drop_duplicates("uri").reset_index(drop=True)
    found = {}
    for uri, sha256, image in zip(rows["uri"], rows["sha256"], read_images(rows), strict=True):
        if not isinstance(image, Fetched) or (isinstance(sha256, str) and sha256 != image.sha256):
            continue
        shown = decode_image(image, Preprocessing(EDGE, colour="srgb"))
        if isinstance(shown, Loaded):
            decoded = shown.decoded
            scale = EDGE / max(decoded.width, decoded.height)
            size = (max(1, round(decoded.width * scale)), max(1, round(decoded.height * scale)))
            found[str(uri)] = np.asarray(Image.fromarray(decoded.pixels).resize(size, Image.Resampling.BICUBIC))
    return found


def as_jpeg(pixels: RGB) -> bytes:
    """Return a JPEG file without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()
