"""Thumbnails of labelled images from their own files, for the page of a verdict."""

from __future__ import annotations

import io
from collections.abc import Collection

import pandas as pd
from PIL import Image

from skinml.images.load import Fetched, Loaded, decode_image, read_images
from skinml.images.preprocessing import Preprocessing

SIZE = 160
"""Edge in px: enough to recognise a lesion, 5 kB each."""


def make_thumbnails(samples: pd.DataFrame, wanted: Collection[str]) -> dict[str, bytes]:
    """Return JPEGs of images, by image_id. An image that is gone or has other bytes by now is left out.

    Args:
        samples: rows of `samples`.
        wanted: image_ids.
    """
    rows = samples[samples["image_id"].isin(list(wanted))].reset_index(drop=True)
    found = {}
    for image_id, sha256, image in zip(rows["image_id"], rows["sha256"], read_images(rows), strict=True):
        if not isinstance(image, Fetched) or sha256 != image.sha256:
            continue
        shown = decode_image(image, Preprocessing(SIZE, colour="srgb"))
        if isinstance(shown, Loaded):
            buffer = io.BytesIO()
            Image.fromarray(shown.decoded.pixels).save(buffer, "JPEG", quality=85)
            found[str(image_id)] = buffer.getvalue()
    return found
