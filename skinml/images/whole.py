"""Whether an image file is all there: what its own structure promises, against the bytes that it has."""

from __future__ import annotations

import struct
import zlib

from skinml.errors import ImageRejected, Reason

TIFF_TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of one value, by the type of a TIFF entry."""

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Passes of an interlaced PNG: first column and row, steps between columns and rows."""


def ends_early(data: bytes, kind: str) -> bool:
    """Whether a file ends before what its own headers point to: asked why, where decoding has failed."""
    return {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "TIFF": _tiff, "BMP": _bmp}[kind](data)


def _jpeg(data: bytes) -> bool:
    position = 2
    while data[position : position + 1] == b"\xff":
        marker = data[position + 1] if position + 1 < len(data) else None
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker == 0xD8:
            position += 2
        elif marker is None or position + 4 > len(data):
            return marker != 0xD9
        else:
            length = int.from_bytes(data[position + 2 : position + 4], "big")
            if length < 2:
                return False
            position += 2 + length
            if marker == 0xDA:
                return data.find(b"\xff\xd9", position) < 0
    return position >= len(data)


def _png(data: bytes) -> bool:
    position = 8
    while position + 12 <= len(data):
        if data[position + 4 : position + 8] == b"IEND":
            return False
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return True


def _webp(data: bytes) -> bool:
    return len(data) < 8 + int.from_bytes(data[4:8], "little")


def _tiff(data: bytes) -> bool:
    order = "<" if data[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        struct.unpack_from(order + "I", data, start + 2 + 12 * count)
        values = {}
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, type_, length = struct.unpack_from(order + "HHI", data, position)
            size = TIFF_TYPES.get(type_, 0) * length
            at = position + 8 if size <= 4 else struct.unpack_from(order + "I", data, position + 8)[0]
            if at + size > len(data):
                return True
            if tag in (273, 279, 324, 325) and type_ in (3, 4):
                values[tag] = struct.unpack_from(f"{order}{length}{'H' if type_ == 3 else 'I'}", data, at)
    except struct.error:
        return True
    offsets, lengths = values.get(273) or values.get(324, ()), values.get(279) or values.get(325, ())
    return any(offset + length > len(data) for offset, length in zip(offsets, lengths, strict=False))


def _bmp(data: bytes) -> bool:
    stated, header = (int.from_bytes(data[at : at + 4], "little") for at in (2, 14))
    return len(data) < 18 or len(data) < 14 + header < 256 or len(data) < stated


def check_png(data: bytes, width: int, height: int) -> None:
    """Refuse a PNG whose stream ends, as it should, before the last row: Pillow leaves the rest black."""
    depth, colours, interlaced = data[24], data[25], data[28]
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colours, 1)
    needed = 0
    for column, row, right, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - column) // right), -(-(height - row) // down)
        needed += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    found, position, unpack = 0, 8, zlib.decompressobj()
    while position + 8 <= len(data) and found < needed and not unpack.eof:
        length = int.from_bytes(data[position : position + 4], "big")
        if data[position + 4 : position + 8] == b"IDAT":
            piece = data[position + 8 : position + 8 + length]
            while piece and found < needed:
                try:
                    found += len(unpack.decompress(piece, 2**20))
                except zlib.error:
                    return  # Pillow says what is wrong with it
                piece = unpack.unconsumed_tail
        position += 12 + length
    if unpack.eof and found < needed:
        raise ImageRejected(Reason.TRUNCATED, f"{needed - found} bytes of pixels are missing")
