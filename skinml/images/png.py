"""Check PNGs: number of chunks, cost and missing pixels; extract the colour profile, remove other metadata.

Pillow decodes them. Without these checks it would take 60 MB for the texts in a file of 61 kB, and return black
rows for missing ones.
"""

from __future__ import annotations

import re
import time
import zlib

from PIL import Image

from skinml.errors import ImageRejected, Reason
from skinml.images.budget import check_bytes, pixel_bytes, refuse_count, resizing_bytes
from skinml.images.colour import MAX_PROFILE_BYTES

MAX_CHUNKS = 100_000
"""Limit of the number of chunks. libpng writes chunks of 8 KiB: 8,192 in the largest file. Pillow takes 3 us
each."""

MAX_SECONDS = 4.0
"""Limit of CPU time for inflating: 512 MB, the most that 64 million pixels have, take 1.5 s. A stream of empty
blocks, each with its own tables, takes longer than any pixels, and only the time shows it."""

PIECE = 2**16
"""Compressed bytes that are inflated at once; the result is not kept."""

NEEDED = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
FIRST_NEEDED = frozenset((b"eXIf", b"acTL", b"fcTL"))
"""Of these only the first is kept: EXIF has the orientation, the others describe the first frame."""

MAX_EXIF_BYTES = 2**20
"""Limit of EXIF, or of a text with EXIF; in a JPEG it has at most 64 KiB."""

ORIENTED = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""Keywords of texts that may contain the orientation."""

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Passes of an interlaced PNG: first column, first row, column step, row step."""

_KIND = re.compile(rb"\w{4}")


def without_metadata(data: bytes) -> tuple[bytes, bytes | None]:
    """Return a PNG with only the chunks that pixels depend on, and its colour profile.

    If there is nothing to remove, the same bytes are returned. Pillow would inflate and keep all texts: up to
    64 MB by its own limits, four times that as Python strings.

    Raises:
        ImageRejected: there are too many chunks.
    """
    position, pieces, seen, dropped = 8, [slice(0, 8)], set(), False
    profile: bytes | None = None
    chunks = 0
    while position + 12 <= len(data) and _KIND.match(data, position + 4):
        kind = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            break
        chunks += 1
        if chunks > MAX_CHUNKS:
            refuse_count("more chunks of a PNG", MAX_CHUNKS)
        if kind == b"iCCP" and profile is None:
            profile = _unpack_profile(data[position + 8 : end - 4])
        keyword = data[position + 8 : position + 30] if kind in (b"iTXt", b"tEXt", b"zTXt") else b""
        first = (kind in FIRST_NEEDED or keyword.startswith(ORIENTED)) and kind + keyword not in seen
        seen.add(kind + keyword if first else kind)
        if kind in NEEDED or (first and end - position <= MAX_EXIF_BYTES):
            pieces.append(slice(position, end))
        else:
            dropped = True
        position = end
        if kind == b"IEND":
            break
    if not dropped:
        return data, profile
    pieces.append(slice(position, len(data)))  # the unreadable rest, which Pillow will report
    return b"".join(memoryview(data)[piece] for piece in pieces), profile


def _unpack_profile(chunk: bytes) -> bytes:
    """Return the profile of an iCCP chunk; b"" if it cannot be inflated or is too large."""
    packed = chunk[chunk.find(b"\0") + 2 :]
    try:
        profile = zlib.decompressobj().decompress(packed, MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return b""
    return profile if len(profile) <= MAX_PROFILE_BYTES else b""


def check_cost(image: Image.Image, data: bytes, size: int) -> None:
    """Refuse a PNG that takes too much memory or has no palette where it needs one.

    Args:
        image: opened, not loaded.
        data: the bytes of the file.
        size: edge of the resized image in px.
    """
    width, height = image.size
    needed = width * height * pixel_bytes(image.mode) + len(data) + resizing_bytes(width, height, size)
    check_bytes(needed, f"{width} x {height} px, PNG of mode {image.mode}")
    if image.mode == "P" and image.palette is None:
        raise ImageRejected(Reason.DECODE_ERROR, "the palette is missing")


def check_whole(data: bytes, width: int, height: int) -> None:
    """Refuse a PNG whose data ends before the last row; Pillow would leave the rest black."""
    needed = _unpacked_bytes(data, width, height)
    found, position, unpack = 0, 8, zlib.decompressobj()
    view, latest = memoryview(data), time.thread_time() + MAX_SECONDS
    while position + 8 <= len(data) and found < needed and not unpack.eof:
        length = int.from_bytes(data[position : position + 4], "big")
        if data[position + 4 : position + 8] == b"IDAT":
            end = min(position + 8 + length, len(data))
            for start in range(position + 8, end, PIECE):
                piece: bytes | memoryview = view[start : min(start + PIECE, end)]
                while len(piece) and found < needed:
                    try:
                        found += len(unpack.decompress(piece, 2**20))
                    except zlib.error:
                        return  # Pillow says what is wrong with it
                    piece = unpack.unconsumed_tail
                if found >= needed or unpack.eof:
                    break
                if time.thread_time() > latest:
                    raise ImageRejected(Reason.TOO_LARGE, f"unpacking takes more than {MAX_SECONDS:.0f} CPU s")
        position += 12 + length
    if unpack.eof and found < needed:
        raise ImageRejected(Reason.TRUNCATED, f"{needed - found} bytes of pixels are missing")


def _unpacked_bytes(data: bytes, width: int, height: int) -> int:
    """Return the number of bytes of the rows of all passes, each with its filter byte."""
    depth, colours, interlaced = data[24], data[25], data[28]
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colours, 1)
    needed = 0
    for column, row, right, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - column) // right), -(-(height - row) // down)
        needed += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return needed
