"""Refuse a TIFF by its directory if it would cost too much, and silence libtiff's error output.

Pillow decodes it, and turns a tag into Python numbers: 108 MB and 0.3 CPU s for a tag of 4 million numbers.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import struct

from PIL import _imaging
from PIL.TiffImagePlugin import TiffImageFile

from skinml.errors import ImageRejected, Reason
from skinml.images.budget import MAX_PIXELS, check_bytes, pixel_bytes, refuse_count, resizing_bytes

TEXTS = {1: 1, 2: 1, 6: 1, 7: 1}
NUMBERS = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes per value by the type of a TIFF entry: types that are read as one piece, and types read one by one."""

MAX_NUMBERS = 100_000
"""Limit of the numbers in one tag, such as offsets of strips: 64 million pixels in tiles of 64 x 64 have
15,625. Pillow makes a Python number of each, and a record of 400 bytes for each strip."""


def check_directory(data: bytes) -> int:
    """Refuse tags with too many numbers before Pillow reads them; return the bytes of all other tags."""
    order, found = "<" if data[:2] == b"II" else ">", 0
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (entries,) = struct.unpack_from(order + "H", data, start)
        for position in range(start + 2, start + 2 + 12 * entries, 12):
            tag, type_, count = struct.unpack_from(order + "HHI", data, position)
            if count * (TEXTS | NUMBERS).get(type_, 0) > len(data):
                continue  # it is beyond the end of the file and is not read
            if type_ in TEXTS:
                found += count
            elif type_ in NUMBERS and count > MAX_NUMBERS:
                refuse_count(f"{count:,} numbers in TIFF tag {tag}", MAX_NUMBERS)
    except struct.error:
        pass  # Pillow says what is wrong with it
    return min(found, len(data))  # Pillow reads no more than that, even if tags overlap


def check_cost(image: TiffImageFile, tag_bytes: int, size: int) -> None:
    """Refuse a TIFF with missing strips, or with tiles or pixels that take too much memory.

    Args:
        image: opened, not loaded.
        tag_bytes: the result of `check_directory`; Pillow makes three copies of the tags.
        size: edge of the resized image in px.
    """
    edges = [image.tag_v2.get(tag, 0) for tag in (322, 323)]
    numbers = all(isinstance(edge, int) for edge in edges)
    if numbers and edges[0] * edges[1] > MAX_PIXELS:
        raise ImageRejected(Reason.TOO_LARGE, f"tiles of more than {MAX_PIXELS:,} pixels")
    boxes = [tile.extents for tile in image.tile if tile.extents is not None]
    covered = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    width, height = image.size
    if covered < width * height:
        raise ImageRejected(Reason.TRUNCATED, "strips are missing")
    needed = width * height * pixel_bytes(image.mode)
    if image.tag_v2.get(274, 1) != 1:
        needed *= 2  # Pillow turns it as it loads
    if image.use_load_libtiff:
        needed += _block_pixels(image, edges if numbers else [0, 0]) * _block_bytes(image)
    needed += 3 * tag_bytes + resizing_bytes(width, height, size)
    check_bytes(needed, f"{width} x {height} px, TIFF of mode {image.mode}")


def _block_pixels(image: TiffImageFile, tile: list[int]) -> int:
    """Return the pixels of the largest block that libtiff decodes at once: a tile or a strip."""
    width, height = image._tile_size  # as stored: a turned TIFF's `size` is upright
    if tile[0] > 0 and tile[1] > 0:
        return tile[0] * tile[1]
    rows = image.tag_v2.get(278, height)
    return width * min(rows if isinstance(rows, int) and rows > 0 else height, height)


def _block_bytes(image: TiffImageFile) -> int:
    """Return the bytes per pixel in such a block: all samples, or four if libtiff converts to RGBA."""
    bits = image.tag_v2.get(258, (1,))
    samples = image.tag_v2.get(277, 1)
    widest = max((one for one in bits if isinstance(one, int)), default=8) if isinstance(bits, tuple) else 8
    several = samples if isinstance(samples, int) else 4
    return max(4 if image.tag_v2.get(262) == 6 else 1, -(-widest * several // 8))


@functools.cache
def silence_libtiff() -> bool:
    """Stop Pillow's libtiff from printing errors of broken TIFFs, once per process; False if impossible.

    Pillow silences libtiff's warnings but not its errors: each broken strip is a line on stderr, 1,000 from a
    few files. The quarantine has Pillow's error anyway. This silences only Pillow's copy of the library;
    redirecting file descriptor 2 would silence everything.
    """
    logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)  # it raises the same errors
    try:
        # A search in Pillow's extension goes on in the libraries that it was linked to.
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError, TypeError):  # a Pillow that hides or lacks libtiff
        return False
    set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    set_handler(None)
    return True
