"""Listed images to pixels, in order: reads ahead of decoding, and says for each image what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from skinml.errors import ImageRejected, Reason
from skinml.images.decode import Decoded, decode
from skinml.images.preprocessing import Preprocessing
from skinml.storage.objects import MAX_OBJECT_BYTES, Read, read_many

Image = dict[str, Any]
"""One row of a listing: uri, etag, size_bytes, and whatever else it carries along."""


@dataclass(frozen=True)
class Loaded:
    """An image that could be used: its row, with etag and size of the bytes that were read, and its pixels."""

    row: Image
    decoded: Decoded


@dataclass(frozen=True)
class Rejected:
    """An image that could not: its row, with `reason` and `detail` for the quarantine."""

    row: Image


def load_images(listing: pd.DataFrame, preprocessing: Preprocessing) -> Iterator[Loaded | Rejected]:
    """Read and decode the images of a listing: one answer for each, in order, whatever the bytes are."""
    images = [{str(name): value for name, value in row.items()} for row in listing.to_dict("records")]
    reads = read_many(image["uri"] for image in images if image["size_bytes"] <= MAX_OBJECT_BYTES)
    for image in images:
        if image["size_bytes"] > MAX_OBJECT_BYTES:
            yield _rejected(image, Reason.TOO_LARGE, f"more than {MAX_OBJECT_BYTES} bytes")
        else:
            yield _load(image, next(reads), preprocessing)


def _load(image: Image, read: Read, preprocessing: Preprocessing) -> Loaded | Rejected:
    if read.data is None:
        return _rejected(image, Reason.READ_ERROR, read.error or "unreadable")
    row = {**image, "etag": read.etag, "size_bytes": len(read.data)}  # it may have changed since it was listed
    try:
        return Loaded(row, decode(read.data, preprocessing.size, preprocessing.decode))
    except ImageRejected as rejection:
        return _rejected(row, rejection.reason, rejection.detail)


def _rejected(image: Image, reason: Reason, detail: str) -> Rejected:
    return Rejected({**image, "reason": reason.value, "detail": detail})
