"""Read and decode listed images in order, reading ahead; each image gives pixels or a reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

import pandas as pd

from skinml.errors import ImageRejected, Reason
from skinml.images.preprocessing import Preprocessing
from skinml.storage.objects import MAX_OBJECT_BYTES, Read, read_many

if TYPE_CHECKING:
    from skinml.images.decode import Decoded


@dataclass(frozen=True)
class Fetched:
    """An image's bytes and their etag, after reading."""

    data: bytes
    etag: str

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the bytes, 64 hexadecimal digits: 18 us for 24 kB."""
        return sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Loaded:
    """An image that can be used: its bytes, their etag and SHA-256, and its pixels."""

    data: bytes
    etag: str
    sha256: str
    decoded: Decoded


@dataclass(frozen=True)
class Rejected:
    """An image that cannot be used: the reason, and etag, size and SHA-256 of what was read.

    If nothing was read, etag and size are those of the listing, and `sha256` is None.
    """

    etag: str
    size_bytes: int
    reason: Reason
    detail: str
    sha256: str | None = None


def load_images(
    listing: pd.DataFrame, preprocessing: Preprocessing, roots: Collection[str] | None = None
) -> Iterator[Loaded | Rejected]:
    """Read and decode the images of a listing; yield one result for each, in order.

    Args:
        listing: columns uri, etag and size_bytes, from `list_images`.
        preprocessing: how to make the pixels.
        roots: the archives that were listed, normalised; links out of them are not followed. None: any file is
            read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from skinml.storage.listing import list_images
        >>> from skinml.storage.urls import normalise
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (60, 45), "tan").save(Path(folder, "a.png"))
        ...     _ = Path(folder, "b.jpg").write_bytes(b"")
        ...     listing = pd.concat([piece.images.to_pandas() for piece in list_images(normalise(folder))])
        ...     images = list(load_images(listing.sort_values("uri"), Preprocessing(size=32)))
        >>> images[0].decoded.pixels.shape
        (32, 32, 3)
        >>> images[1].reason.value, images[1].detail
        ('empty', '0 bytes')
    """
    for image in read_images(listing, roots):
        yield image if isinstance(image, Rejected) else decode_image(image, preprocessing)


def read_images(listing: pd.DataFrame, roots: Collection[str] | None = None) -> Iterator[Fetched | Rejected]:
    """Read the images of a listing, with the arguments of `load_images`; yield one result each, in order."""
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
    return Fetched(read.data, read.etag or etag)  # the etag may have changed since the listing


def decode_image(image: Fetched, how: Preprocessing) -> Loaded | Rejected:
    """Decode an image that was read, or reject it."""
    from skinml.images.decode import decode  # and with it the decoders, which a driver does not need

    try:
        decoded = decode(image.data, how.size, how.decode, how.colour, how.aspect)
    except ImageRejected as rejection:
        return Rejected(image.etag, len(image.data), rejection.reason, rejection.detail, image.sha256)
    return Loaded(image.data, image.etag, image.sha256, decoded)
