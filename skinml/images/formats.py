"""Recognise image formats by the first bytes of a file, also formats that are not decoded."""

from __future__ import annotations

import struct

from skinml.errors import ImageRejected, Reason
from skinml.storage.objects import MAX_OBJECT_BYTES
from skinml.storage.suffixes import dicom_installed

FORMATS: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "WEBP": (b"RIFF",),
    "TIFF": (b"II*\x00", b"MM\x00*"),
    "BMP": (b"BM",),
}
"""The first bytes of each format that is decoded. Formats are recognised by content, never by name."""


DICOM = "DICOM"

BMP_HEADERS = tuple(struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124))


OTHER_FORMATS: dict[str, tuple[int, bytes]] = {
    "GIF": (0, b"GIF8"),
    "Photoshop": (0, b"8BPS"),
    "JPEG 2000": (4, b"jP  "),
    "JPEG 2000 codestream": (0, b"\xff\x4f\xff\x51"),
    "HEIF or AVIF": (4, b"ftyp"),
    "PDF": (0, b"%PDF"),
    "icon": (0, b"\x00\x00\x01\x00"),
    "BigTIFF": (0, b"II+\x00"),
    "BigTIFF, big-endian": (0, b"MM\x00+"),
    "JPEG XL": (0, b"\x00\x00\x00\x0cJXL "),
    "SVG": (0, b"<svg"),
}
"""Image formats that are recognised but not decoded: offset and signature."""


def identify(data: bytes) -> str:
    """Return the format by content, one of FORMATS or DICOM. Raises ImageRejected for anything else."""
    if not data:
        raise ImageRejected(Reason.EMPTY, "0 bytes")
    if len(data) > MAX_OBJECT_BYTES:
        raise ImageRejected(Reason.TOO_LARGE, f"more than {MAX_OBJECT_BYTES} bytes")
    if data[128:132] == b"DICM":  # after 128 bytes of anything, often the header of a TIFF
        return DICOM
    for name, beginnings in FORMATS.items():
        if data.startswith(beginnings) and (name != "WEBP" or data[8:12] == b"WEBP"):
            # Many files begin with these two letters; a bitmap then has a header of a known size.
            if name == "BMP" and len(data) >= 18 and data[14:18] not in BMP_HEADERS:
                break
            return name
    for name, (offset, signature) in OTHER_FORMATS.items():
        if data[offset : offset + len(signature)] == signature:
            decoded = ", ".join((*FORMATS, DICOM) if dicom_installed() else FORMATS)
            raise ImageRejected(Reason.UNSUPPORTED_FORMAT, f"{name}: only {decoded} are decoded")
    starts = [beginning for several in FORMATS.values() for beginning in several]
    cut_webp = data.startswith(b"RIFF") and b"WEBP".startswith(data[8:12])
    if cut_webp or any(start.startswith(data) for start in starts):
        raise ImageRejected(Reason.TRUNCATED, f"{len(data)} bytes: only the beginning of an image")
    # Only four bytes are shown: the file may be a letter that begins with a patient's name.
    raise ImageRejected(Reason.NOT_AN_IMAGE, f"begins with {data[:4]!r}")
