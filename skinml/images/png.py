"""PNG: its chunks, its colour profile, whether all pixels are there, and what pixels do not depend on.

Decoding is Pillow's. Without these checks it makes 60 MB of a file of 61 kB, for texts that nobody needs, and
black rows of missing ones.
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
"""libpng writes pixels in chunks of 8 KiB: 8,192 in the largest file. Pillow takes 3 us a chunk."""

MAX_SECONDS = 4.0
"""CPU time for unpacking: 512 MB, the most that 64 million pixels have, take 1.5. A stream of empty blocks,
each with tables of its own, takes longer than any pixels do, and nothing but the time tells it."""

PIECE = 2**16
"""Packed bytes that are unpacked at once, of which no copy is kept."""

NEEDED = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
FIRST_NEEDED = frozenset((b"eXIf", b"acTL", b"fcTL"))
"""Of these the first: EXIF has the orientation, the others say what the first frame is."""

MAX_EXIF_BYTES = 2**20
"""Of EXIF or a text that has it, which in a JPEG has 64 KiB at the most."""

ORIENTED = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""Keywords of texts that may have the orientation."""

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Passes of an interlaced PNG: first column and row, steps between columns and rows."""

_KIND = re.compile(rb"\w{4}")


def without_metadata(data: bytes) -> tuple[bytes, bytes | None]:
    """A PNG with what pixels depend on alone, and its colour profile; the same bytes where there is no more.

    Pillow unpacks and keeps all texts: 64 MB of them by its own limits, four times that as Python's strings.

    Raises:
        ImageRejected: it has more chunks than an image needs.
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
    pieces.append(slice(position, len(data)))  # what cannot be read, for Pillow to judge
    return b"".join(memoryview(data)[piece] for piece in pieces), profile


def _unpack_profile(chunk: bytes) -> bytes:
    """The profile of an iCCP chunk; b"" where it cannot be unpacked or is larger than a profile is."""
    packed = chunk[chunk.find(b"\0") + 2 :]
    try:
        profile = zlib.decompressobj().decompress(packed, MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return b""
    return profile if len(profile) <= MAX_PROFILE_BYTES else b""


def check_cost(image: Image.Image, data: bytes, size: int) -> None:
    """Refuse pixels that take more memory than an image may, and a palette that is missing.

    Args:
        image: opened, not loaded.
        data: the file, of which there may be a copy.
        size: edge of the pixels to come, in px.
    """
    width, height = image.size
    needed = width * height * pixel_bytes(image.mode) + len(data) + resizing_bytes(width, height, size)
    check_bytes(needed, f"{width} x {height} px, PNG of mode {image.mode}")
    if image.mode == "P" and image.palette is None:
        raise ImageRejected(Reason.DECODE_ERROR, "a palette that is missing")


def check_whole(data: bytes, width: int, height: int) -> None:
    """Refuse a PNG whose stream ends, as it should, before the last row: Pillow leaves the rest black."""
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
    """How many bytes the rows of all passes have, each with its filter."""
    depth, colours, interlaced = data[24], data[25], data[28]
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colours, 1)
    needed = 0
    for column, row, right, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - column) // right), -(-(height - row) // down)
        needed += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return needed
