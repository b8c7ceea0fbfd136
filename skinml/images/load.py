"""Listed images to pixels, in order: reads ahead of decoding, and says for each image what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from skinml.errors import ImageRejected, Reason
from skinml.images.decode import Decoded, decode
from skinml.images.preprocessing import Preprocessing
from skinml.storage.objects import MAX_OBJECT_BYTES, Read, read_many


@dataclass(frozen=True)
class Loaded:
    """An image that could be used: its bytes as they were read, their etag, and its pixels."""

    data: bytes
    etag: str
    decoded: Decoded


@dataclass(frozen=True)
class Rejected:
    """An image that could not: why, and etag and size of what was read, or of what was listed."""

    etag: str
    size_bytes: int
    reason: Reason
    detail: str


def load_images(listing: pd.DataFrame, preprocessing: Preprocessing) -> Iterator[Loaded | Rejected]:
    """Read and decode the images of a listing: one answer for each, in order, whatever the bytes are.

    Args:
        listing: columns uri, etag and size_bytes, as they were listed.
        preprocessing: how pixels are made.
    """
    small = listing[listing["size_bytes"] <= MAX_OBJECT_BYTES]
    reads = read_many(small["uri"].tolist(), small["size_bytes"].tolist())
    for etag, size_bytes in zip(listing["etag"].tolist(), listing["size_bytes"].tolist(), strict=True):
        if size_bytes > MAX_OBJECT_BYTES:
            yield Rejected(etag, size_bytes, Reason.TOO_LARGE, f"more than {MAX_OBJECT_BYTES} bytes")
        else:
            yield _load(etag, size_bytes, next(reads), preprocessing)


def _load(etag: str, size_bytes: int, read: Read, preprocessing: Preprocessing) -> Loaded | Rejected:
    if read.data is None:
        return Rejected(etag, size_bytes, Reason.READ_ERROR, read.error or "unreadable")
    etag = read.etag or etag  # it may have changed since it was listed
    try:
        decoded = decode(read.data, preprocessing.size, preprocessing.decode, preprocessing.colour)
        return Loaded(read.data, etag, decoded)
    except ImageRejected as rejection:
        return Rejected(etag, len(read.data), rejection.reason, rejection.detail)
