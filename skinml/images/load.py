"""Listed images to pixels, in order: reads ahead of decoding, and says for each image what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import pandas as pd

from skinml.errors import ImageRejected, Reason
from skinml.images.decode import Decoded, decode
from skinml.images.preprocessing import Preprocessing
from skinml.storage.objects import MAX_OBJECT_BYTES, Read, read_many


@dataclass(frozen=True)
class Fetched:
    """An image's bytes as they were read, and their etag."""

    data: bytes
    etag: str

    @cached_property
    def sha256(self) -> str:
        """Of the bytes, 64 hexadecimal digits: 18 us for 24 kB."""
        return sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Loaded:
    """An image that could be used: its bytes as they were read, their etag and SHA-256, and its pixels."""

    data: bytes
    etag: str
    sha256: str
    decoded: Decoded


@dataclass(frozen=True)
class Rejected:
    """An image that could not: why, and etag, size and SHA-256 of what was read.

    Where nothing was read, etag and size are those that were listed, and `sha256` is None.
    """

    etag: str
    size_bytes: int
    reason: Reason
    detail: str
    sha256: str | None = None


def load_images(
    listing: pd.DataFrame, preprocessing: Preprocessing, roots: Collection[str] | None = None
) -> Iterator[Loaded | Rejected]:
    """Read and decode the images of a listing: one answer for each, in order, whatever the bytes are.

    Args:
        listing: columns uri, etag and size_bytes, as they were listed.
        preprocessing: how pixels are made.
        roots: the archives that were listed, normalised: no link leads out of them. None: any file is read.
    """
    for image in read_images(listing, roots):
        yield image if isinstance(image, Rejected) else decode_image(image, preprocessing)


def read_images(listing: pd.DataFrame, roots: Collection[str] | None = None) -> Iterator[Fetched | Rejected]:
    """Read the images of a listing (arguments as for `load_images`): one answer for each, in order."""
    small = listing[listing["size_bytes"] <= MAX_OBJECT_BYTES]
    reads = read_many(small["uri"].tolist(), small["size_bytes"].tolist(), roots=roots)
    for etag, size_bytes in zip(listing["etag"].tolist(), listing["size_bytes"].tolist(), strict=True):
        if size_bytes > MAX_OBJECT_BYTES:
            yield Rejected(etag, size_bytes, Reason.TOO_LARGE, f"more than {MAX_OBJECT_BYTES} bytes")
        else:
            yield _fetched(etag, size_bytes, next(reads))


def _fetched(etag: str, size_bytes: int, read: Read) -> Fetched | Rejected:
    if read.data is None:
        return Rejected(etag, size_bytes, Reason.READ_ERROR, read.error or "unreadable")
    return Fetched(read.data, read.etag or etag)  # the etag may have changed since it was listed


def decode_image(image: Fetched, how: Preprocessing) -> Loaded | Rejected:
    """Pixels of an image that was read, or why there are none."""
    try:
        decoded = decode(image.data, how.size, how.decode, how.colour, how.aspect)
    except ImageRejected as rejection:
        return Rejected(image.etag, len(image.data), rejection.reason, rejection.detail, image.sha256)
    return Loaded(image.data, image.etag, image.sha256, decoded)
