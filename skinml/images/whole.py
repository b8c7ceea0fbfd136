"""Check whether an image file is complete, by comparing its own structure with its size."""

from __future__ import annotations

import struct

from skinml.images.tiff import NUMBERS, TEXTS

MOST_PARTS = 100_000
"""Limit of segments, chunks or strips that are read; a file with more is not checked further."""


def ends_early(data: bytes, kind: str) -> bool:
    """Whether a file ends before the data that its own headers point to; called after decoding has failed."""
    if kind == "DICOM":
        return False  # which its own errors say
    return {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "TIFF": _tiff, "BMP": _bmp}[kind](data)


def _jpeg(data: bytes) -> bool:
    position = 2
    for _ in range(MOST_PARTS):
        if data[position : position + 1] != b"\xff":
            break
        marker = data[position + 1] if position + 1 < len(data) else None
        if marker == 0xFF:  # fill bytes
            position = len(data) - len(data[position:].lstrip(b"\xff")) - 1
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
    for _ in range(MOST_PARTS):
        if position + 12 > len(data):
            break
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
            size = (TEXTS | NUMBERS).get(type_, 0) * length
            at = position + 8 if size <= 4 else struct.unpack_from(order + "I", data, position + 8)[0]
            if at + size > len(data):
                return True
            if tag in (273, 279, 324, 325) and type_ in (3, 4) and length <= MOST_PARTS:
                values[tag] = struct.unpack_from(f"{order}{length}{'H' if type_ == 3 else 'I'}", data, at)
    except struct.error:
        return True
    offsets, lengths = values.get(273) or values.get(324, ()), values.get(279) or values.get(325, ())
    return any(offset + length > len(data) for offset, length in zip(offsets, lengths, strict=False))


def _bmp(data: bytes) -> bool:
    stated, header = (int.from_bytes(data[at : at + 4], "little") for at in (2, 14))
    return len(data) < 18 or len(data) < 14 + header < 256 or len(data) < stated
