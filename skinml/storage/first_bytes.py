"""Tell from the first bytes of a file whether it is an image, in any format, also one that we do not read.

The library `filetype` 1.2.0 does not know DICOM, JPEG 2000 or JPEG XL, and takes any text that begins with BM
for an image.
"""

from __future__ import annotations

import os
import stat

LENGTH = 132
"""Bytes to read. DICOM has its signature after 128 arbitrary bytes."""

STARTS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",  # TIFF, and most cameras' raw formats
    b"MM\0*",
    b"\0\0\0\x0cjP  \r\n",  # JPEG 2000
    b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cJXL \r\n",
    b"\xff\x0a",  # JPEG XL without its box
)

BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
"""Brands of ISO media files that hold still images: HEIF and AVIF."""


def are_an_image(start: bytes) -> bool:
    """Whether a file that starts with these bytes is most likely an image."""
    return (
        start.startswith(STARTS)
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[:2] == b"BM" and start[6:10] == bytes(4) and start[14:18] in _BMP_HEADERS)
        or (start[4:8] == b"ftyp" and start[8:12] in BRANDS)
        or start[128:132] == b"DICM"
    )


_BMP_HEADERS = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))


def read_first(path: str) -> bytes:
    """Return the first LENGTH bytes of a regular file; b"" for anything else or if it cannot be read."""
    try:
        # O_NONBLOCK, because a pipe may have been put in place of the file.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(file, LENGTH) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(file)
