"""Read images, in a worker, and decode those whose bytes no counted model version has scored yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from itertools import repeat

import pyarrow as pa

from skinml.errors import Reason
from skinml.images.load import Fetched, Loaded, Rejected, decode_image, read_images
from skinml.images.preprocessing import Preprocessing
from skinml.records.etags import MARK, hashed_etag, plain_etag
from skinml.schemas import LISTING
from skinml.tables import Part

HASH_BYTES = 16
"""Only the first bytes of a SHA-256 are kept: they identify an image as well as all 32, in half the memory."""


class Standing(IntEnum):
    """Whether the tables know an image's uri and etag."""

    NEW = 0
    COMPARABLE = 1  # known, with the SHA-256 of their bytes
    UNHASHED = 2  # known, from an older skinml that kept no SHA-256


JOB = pa.schema(
    [
        *LISTING,
        ("standing", pa.int8()),  # a value of Standing
        ("place", pa.uint16()),  # of the counted models, the first with a row of this uri and etag
        ("known_sha256", pa.list_(pa.binary(HASH_BYTES))),  # of bytes of this uri that have a row
        ("known_places", pa.list_(pa.uint16())),  # of each of these, the model whose row it is
    ]
)
"""Images as a worker gets them: the row of the listing, and what the tables know about it."""


class Verdict(Enum):
    """What to do with an image that was read."""

    SCORE = "score"  # score it under its etag
    CHANGED = "changed"  # score it under a hashed etag: other bytes have a row under its etag
    SAME = "same"  # do nothing
    REMEMBER = "remember"  # write a row of `known_etags`


@dataclass(frozen=True)
class Same:
    """An image that is not scored because the same bytes of its uri have a row.

    Attributes:
        etag: the etag of the bytes.
        size_bytes: their size.
        sha256: their hash; None if nothing was read.
        remember: whether this etag is not in the tables yet, or not with the hash.
        rechecked: whether the image was read only to be compared.
        place: of the counted models, the first that has scored these bytes.
    """

    etag: str
    size_bytes: int
    sha256: str | None
    remember: bool
    rechecked: bool
    place: int = 0


@dataclass(frozen=True)
class Compared:
    """The result of comparing a shard's bytes with the tables.

    Attributes:
        same: images that were not scored; they count as skipped.
        rechecked: images with a row that were read again.
        changed: of the rechecked, those whose bytes differ from all of their rows.
        remembered: an uncommitted part of `known_etags`, or None.
    """

    same: int = 0
    rechecked: int = 0
    changed: int = 0
    remembered: Part | None = None


def judge_bytes(standing: Standing, same_etag: bool, has_row: bool) -> Verdict:
    """Decide what to do with an image.

    Args:
        standing: whether the tables know its uri and listed etag.
        same_etag: whether it still had that etag when it was read.
        has_row: whether these bytes of this uri have a row.
    """
    if standing is Standing.NEW or not same_etag:
        return Verdict.REMEMBER if has_row else Verdict.SCORE
    if has_row:
        return Verdict.SAME
    return Verdict.REMEMBER if standing is Standing.UNHASHED else Verdict.CHANGED


def load_unless_known(
    images: pa.Table, preprocessing: Preprocessing, roots: Collection[str] | None = None
) -> Iterator[Loaded | Rejected | Same]:
    """Read images and decode those that have to be scored; yield one result for each, in order.

    Args:
        images: schema JOB, or LISTING if nothing is known about any of them.
        preprocessing: how to make the pixels.
        roots: the archives that were listed, as for `load_images`.
    """
    listing = images.select(LISTING.names).to_pandas()
    if "standing" in images.column_names:
        standings, places = images["standing"].to_pylist(), images["place"].to_pylist()
        known = map(_whose, images["known_sha256"].to_pylist(), images["known_places"].to_pylist())
    else:
        known = map(_whose, repeat((), len(listing)), repeat(()))
        standings, places = [Standing.NEW] * len(listing), [0] * len(listing)
    etags = listing["etag"].tolist()
    read = read_images(listing, roots)
    for listed, standing, place, hashes, image in zip(etags, standings, places, known, read, strict=True):
        if isinstance(image, Fetched):
            yield _compared(image, listed, Standing(standing), place, hashes, preprocessing)
        elif image.reason is Reason.TOO_LARGE and standing != Standing.NEW:  # already too large when it was new
            yield Same(image.etag, image.size_bytes, None, remember=False, rechecked=False)
        else:
            yield image


def _whose(hashes: Sequence[bytes], places: Sequence[int]) -> dict[bytes, int]:
    """Return for each hash the first model with a row of these bytes."""
    return dict(sorted(zip(hashes, places, strict=True), key=lambda pair: -pair[1]))


def _compared(
    image: Fetched,
    listed: str,
    standing: Standing,
    place: int,
    known: Mapping[bytes, int],
    preprocessing: Preprocessing,
) -> Loaded | Rejected | Same:
    if listed != image.etag and plain_etag(listed) == image.etag:  # replaying an image that a recheck found
        image = replace(image, etag=hashed_etag(image.etag, image.sha256))
    owner = known.get(bytes.fromhex(image.sha256)[:HASH_BYTES]) if known else None
    verdict = judge_bytes(standing, image.etag == listed, has_row=owner is not None)
    if verdict in (Verdict.SAME, Verdict.REMEMBER):
        remember, rechecked = verdict is Verdict.REMEMBER, standing is not Standing.NEW
        # Bytes whose row has no hash are of the model that has a row of this uri and etag.
        whose = place if owner is None else owner
        return Same(image.etag, len(image.data), image.sha256, remember, rechecked, whose)
    if verdict is Verdict.CHANGED:
        image = replace(image, etag=hashed_etag(image.etag, image.sha256))
    return decode_image(image, preprocessing)


def compare_etags(listed: Iterable[str], read: Iterable[str], same: Mapping[int, Same]) -> Compared:
    """Count the results of comparing.

    Args:
        listed: the images' etags in the listing.
        read: their etags after reading.
        same: the images that are not scored, by position.
    """
    hashed = [MARK in etag and etag != before for before, etag in zip(listed, read, strict=True)]
    changed = sum(new and position not in same for position, new in enumerate(hashed))
    return Compared(len(same), changed + sum(image.rechecked for image in same.values()), changed)
