"""Read the header of a JPEG up to its first scan, and remove the segments that pixels do not depend on.

Pillow reads a header byte by byte and keeps all of it: two million empty segments took 6 CPU seconds and 250
MB. So decoders get a JPEG without unneeded segments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from skinml.errors import ImageRejected, Reason
from skinml.images.budget import refuse_count

MAX_SEGMENTS = 10_000
"""Limit of segments before the first scan. 64 MiB in segments of the largest size would be 1,024."""

MAX_TABLES = 64
"""Limit of segments that decoders read: cameras and programs write 5 to 20."""

MAX_EXIF = 4
"""EXIF and XMP segments that are kept for the orientation, which is in the first of each."""

FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)))
PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
ARITHMETIC = frozenset(range(0xC9, 0xD0))
WITHOUT_LENGTH = frozenset((0, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))
DROPPED = frozenset((*range(0xE2, 0xEE), 0xEF, 0xFE))
"""Application segments and comments, except JFIF, EXIF, XMP and Adobe (which gives the colour space)."""

PROFILE = b"ICC_PROFILE\0"

_FILL = re.compile(rb"\xff+")


@dataclass(frozen=True)
class Header:
    """The header of a JPEG, up to its first scan.

    Attributes:
        scan: offset of the first start of scan.
        frame: marker of the frame; None if there is none.
        width, height: in px, as stored.
        sampling: horizontal and vertical sampling factor of each component.
        profile: the bytes of the colour profile, from all of its segments; None if there is none.
        kept: positions of the segments that decoders need.
    """

    scan: int
    frame: int | None
    width: int
    height: int
    sampling: tuple[tuple[int, int], ...]
    profile: bytes | None
    kept: tuple[slice, ...]


def read_header(data: bytes) -> Header | None:
    """Read the segments as Pillow does, including stray and fill bytes; None if no scan follows.

    Raises:
        ImageRejected: there are too many segments, or two frames.
    """
    position, segments, exif = 2, 0, 0
    frame: int | None = None
    size: tuple[int, int] = (0, 0)
    sampling: tuple[tuple[int, int], ...] = ()
    pieces: list[bytes] = []
    kept: list[slice] = []
    while (position := data.find(b"\xff", position)) >= 0:
        fill = _FILL.match(data, position)
        position = fill.end() if fill else position + 1
        if position >= len(data):
            return None
        marker = data[position]
        if marker == 0xDA:
            return Header(position - 1, frame, *size, sampling, join_profile(pieces), tuple(kept))
        position += 1
        if 0 < marker < 0xC0:
            return None
        segments += 1
        if segments > MAX_SEGMENTS:
            refuse_count("more segments before the first scan", MAX_SEGMENTS)
        if marker in WITHOUT_LENGTH:  # includes 0, which is not a marker
            continue
        start, end = position + 2, position + _number(data, position)
        if end < start or end > len(data):
            return None
        if marker == 0xE2 and data.startswith(PROFILE, start):
            pieces.append(data[start:end])
        if marker in FRAMES:
            if frame is not None:
                raise ImageRejected(Reason.DECODE_ERROR, "two frames in one JPEG")
            frame = marker
            size = (_number(data, start + 3), _number(data, start + 1))
            sampling = tuple((data[at] >> 4, data[at] & 15) for at in range(start + 7, end, 3))
        exif += marker == 0xE1
        if marker not in DROPPED and (marker != 0xE1 or exif <= MAX_EXIF):
            kept.append(slice(position - 2, end))
            if len(kept) > MAX_TABLES:
                refuse_count("more tables before the first scan", MAX_TABLES)
        position = end
    return None


def without_metadata(data: bytes, header: Header) -> tuple[bytes, Header]:
    """Return a copy of a JPEG with only the segments that decoders need, and its header."""
    start = b"".join((data[:2], *(data[one] for one in header.kept)))
    return b"".join((start, memoryview(data)[header.scan :])), replace(header, scan=len(start), kept=())


def join_profile(pieces: list[bytes]) -> bytes | None:
    """Join a profile from its segments, in the order of their numbers; missing segments are skipped."""
    if not pieces:
        return None
    start = len(PROFILE) + 2
    return b"".join(piece[start:] for piece in sorted(pieces, key=lambda piece: piece[start - 2 : start - 1]))


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
