"""Walk the elements of a DICOM file and return the few that say what its pixels are; no other value is read.

This is not pydicom's reader, for three reasons. It makes Python objects of whatever stands before the pixels:
an empty item of a sequence has 8 bytes in the file and about a kilobyte in memory. It inflates a deflated file
without a limit. And its errors and warnings quote values, which may be a patient's name.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from skinml.errors import ImageRejected, Reason
from skinml.images.budget import refuse_count
from skinml.storage.objects import MAX_OBJECT_BYTES

PREAMBLE = 132
"""128 bytes of anything, and the signature DICM."""

TRANSFER_SYNTAX, PIXELS = 0x00020010, 0x7FE00010
OTHER_PIXELS = (0x7FE00008, 0x7FE00009)
"""Pixels as floating-point numbers."""

ITEM, END_OF_ITEM, END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF

LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
"""Types whose length has four bytes."""

BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"

MAX_ELEMENTS = 100_000
"""Limit of the elements before the pixels, nested ones included: 0.1 CPU s. Real files have a few hundred."""

MAX_VALUE_BYTES = 4 * 2**20
"""Limit of a value that is read: a colour profile. The other values have a few bytes."""


@dataclass
class Elements:
    """What a DICOM file says of its pixels.

    Attributes:
        transfer_syntax: the UID of the encoding.
        body: the bytes in which `pixels` lies: the file's, or what was inflated.
        order: `<` or `>`, the order of bytes.
        values: the wanted elements, by tag, as bytes.
        pixels: begin and end of the pixel data in `body`; None if there is none. The end is that of the body if
            the pixel data is encapsulated.
        pixel_vr: the type of the pixel data.
        encapsulated: whether the pixel data stands in fragments.
    """

    transfer_syntax: str
    body: bytes
    order: str = "<"
    values: dict[int, bytes] = field(default_factory=dict)
    pixels: tuple[int, int] | None = None
    pixel_vr: str = "OW"
    encapsulated: bool = False

    def number(self, tag: int, otherwise: int | None = None) -> int:
        """Return an unsigned short. Raises ImageRejected if it is missing and nothing stands for it."""
        value = self.values.get(tag, b"")
        if len(value) >= 2:
            return int(struct.unpack_from(f"{self.order}H", value)[0])
        if otherwise is None:
            raise ImageRejected(Reason.DECODE_ERROR, f"the DICOM has no element {name(tag)}")
        return otherwise

    def text(self, tag: int) -> str:
        """Return a text of ASCII characters without what fills it up; empty if it is missing."""
        return self.values.get(tag, b"").decode("ascii", "replace").split("\\")[0].strip(" \0")


def read_elements(data: bytes, wanted: frozenset[int]) -> Elements:
    """Return the wanted elements of a DICOM file, and where its pixels are.

    Args:
        data: the bytes of the file, which begin with a preamble and DICM.
        wanted: tags, group and element as one number.

    Raises:
        ImageRejected: the file ends early, is not consistent, or has too many elements.
    """
    meta = Elements("", data)
    start = _walk(meta, PREAMBLE, wanted=frozenset({TRANSFER_SYNTAX}), only_meta=True)
    syntax = meta.text(TRANSFER_SYNTAX)
    if not syntax:
        raise ImageRejected(Reason.DECODE_ERROR, "the DICOM does not name its transfer syntax")
    body = data
    if syntax == DEFLATED:
        body, start = _inflated(data, start), 0
    found = Elements(syntax, body, ">" if syntax == BIG_ENDIAN else "<")
    _walk(found, start, wanted=wanted)
    return found


def name(tag: int) -> str:
    """Return a tag as the standard writes it: `(0028,0010)`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _inflated(data: bytes, start: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = inflater.decompress(data[start:], MAX_OBJECT_BYTES + 1)
    except zlib.error:
        raise ImageRejected(Reason.DECODE_ERROR, "the deflated DICOM cannot be inflated") from None
    if len(body) > MAX_OBJECT_BYTES:
        raise ImageRejected(Reason.TOO_LARGE, f"more than {MAX_OBJECT_BYTES} bytes when inflated")
    if not inflater.eof:
        _truncated()
    return body


def _truncated() -> NoReturn:
    raise ImageRejected(Reason.TRUNCATED, "the DICOM ends before its pixels do")


def _walk(found: Elements, first: int, *, wanted: frozenset[int], only_meta: bool = False) -> int:
    """Fill in values and pixels; return where the pixels, the end, or what follows the meta group begin."""
    body, end = found.body, len(found.body)
    # The transfer syntax says whether elements have types. Some writers do otherwise, so the first one decides.
    implicit = False
    if not only_meta:
        typed = body[first + 4 : first + 6]
        implicit = not (typed.isalpha() and typed.isupper())
    for position, tag, vr, start, length in _headers(found, first, implicit):
        if only_meta and tag >> 16 != 2:
            return position
        if tag == PIXELS or tag in OTHER_PIXELS:
            if tag == PIXELS:
                found.encapsulated = length == UNDEFINED
                found.pixel_vr = vr.decode("ascii", "replace") or "OW"
                found.pixels = (start, end if found.encapsulated else start + length)
            return position
        if length != UNDEFINED and start + length > end:
            _truncated()
        if tag in wanted and length != UNDEFINED and vr != b"SQ":
            if length > MAX_VALUE_BYTES:
                refuse_count(f"{length:,} bytes in DICOM element {name(tag)}", MAX_VALUE_BYTES)
            found.values[tag] = bytes(body[start : start + length])
    return end


def _headers(  # noqa: PLR0912 - a state machine, which parts would hide
    found: Elements, position: int, implicit: bool
) -> Iterator[tuple[int, int, bytes, int, int]]:
    """Yield position, tag, type, begin and length of the value of each element that is not nested.

    The elements of sequences are passed one by one: only so is the end of one found whose length is undefined.
    """
    body, end, order = found.body, len(found.body), found.order
    unpack = struct.Struct(f"{order}HH").unpack_from
    long, short = struct.Struct(f"{order}I").unpack_from, struct.Struct(f"{order}H").unpack_from
    # What encloses this position: whether elements in it are implicit. Those of a UN of undefined length are.
    nested: list[bool] = []
    for _ in range(MAX_ELEMENTS):
        if position == end:
            if nested:
                _truncated()
            return
        if position + 8 > end:
            _truncated()
        group, element = unpack(body, position)
        tag, vr = group << 16 | element, b""
        plain = nested[-1] if nested else implicit
        if tag in (ITEM, END_OF_ITEM, END_OF_SEQUENCE) or plain:
            start, (length,) = position + 8, long(body, position + 4)
        else:
            vr = body[position + 4 : position + 6]
            start, (length,) = position + 8, short(body, position + 6)
            if vr in LONG:
                if position + 12 > end:
                    _truncated()
                start, (length,) = position + 12, long(body, position + 8)
        if tag in (END_OF_ITEM, END_OF_SEQUENCE):
            if not nested:
                raise ImageRejected(Reason.DECODE_ERROR, "the DICOM ends a sequence that has not begun")
            nested.pop()
            position = start
            continue
        if not nested:
            yield position, tag, vr, start, length
        if length == UNDEFINED:
            nested.append(plain or vr == b"UN")
            position = start
        else:
            position = start + length
    refuse_count("more elements of a DICOM", MAX_ELEMENTS)
