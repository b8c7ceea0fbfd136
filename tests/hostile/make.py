"""Makers of odd image files, byte by byte: chunks, segments, directories and headers that say what we want."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

PATIENT = "Erika Musterfrau"
"""Stands in the metadata of many files, and may stand nowhere in a workspace."""


def picture(width: int = 48, height: int = 36, seed: int = 0) -> Image.Image:
    """Colours that change gently and look different at every corner."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height))


def save(image: Image.Image, format_: str, **options: Any) -> bytes:
    """An image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def zeros(length: int) -> bytes:
    """A deflate stream of so many zeros: a thousandth of it."""
    packer = zlib.compressobj(1)
    piece = bytes(10**6)
    packed = b"".join(packer.compress(piece) for _ in range(length // 10**6))
    return packed + packer.compress(bytes(length % 10**6)) + packer.flush()


JPEG = save(picture(), "JPEG", quality=90)
PNG = save(picture(), "PNG")
WEBP = save(picture(), "WEBP", lossless=True)
TIFF = save(picture(), "TIFF")
BMP = save(picture(), "BMP")
PACKED_TIFF = save(picture(), "TIFF", compression="tiff_adobe_deflate")
ANIMATED_WEBP = save(picture(), "WEBP", save_all=True, append_images=[picture(seed=1)], lossless=True)

WHOLE: dict[str, bytes] = {
    "jpeg": JPEG,
    "progressive.jpeg": save(picture(), "JPEG", quality=90, progressive=True),
    "png": PNG,
    "webp": save(picture(), "WEBP"),
    "lossless.webp": WEBP,
    "tiff": TIFF,
    "deflate.tiff": PACKED_TIFF,
    "bmp": BMP,
}
"""A sound file of every format, and of those formats that are laid out in two ways."""


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG: length, kind, content, CRC."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, stream: bytes, depth: int = 8, colours: int = 2, interlaced: int = 0) -> bytes:
    """A PNG of these header values around a compressed stream."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", stream), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def with_chunk(kind: bytes, content: bytes, whole: bytes = PNG) -> bytes:
    """A PNG with one more chunk behind its header."""
    return whole[:33] + chunk(kind, content) + whole[33:]


def segment(marker: int, content: bytes) -> bytes:
    """One segment of a JPEG: marker, length, content."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segments(*segments: bytes, jpeg: bytes = JPEG) -> bytes:
    """A JPEG with more segments at its beginning."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_frame_header(jpeg: bytes = JPEG, **changed: int) -> bytes:
    """A JPEG whose frame header (SOF0) says something else."""
    start = jpeg.index(b"\xff\xc0")
    fields = {"marker": (1, ">B"), "bits": (4, ">B"), "height": (5, ">H"), "width": (7, ">H")}
    fields |= {"components": (9, ">B"), "sampling": (11, ">B"), "table": (12, ">B"), "length": (2, ">H")}
    return patched(jpeg, {start + fields[name][0]: (fields[name][1], value) for name, value in changed.items()})


def with_bmp_header(**changed: int) -> bytes:
    """A BMP whose headers say something else."""
    fields = {"file_size": (2, "<I"), "offset": (10, "<I"), "header": (14, "<I"), "width": (18, "<i")}
    fields |= {"height": (22, "<i"), "bits": (28, "<H"), "compression": (30, "<I")}
    return patched(BMP, {fields[name][0]: (fields[name][1], value) for name, value in changed.items()})


def patched(data: bytes, changes: dict[int, tuple[str, int]]) -> bytes:
    """Bytes with numbers written over them: offset to struct format and value."""
    changed = bytearray(data)
    for offset, (format_, value) in changes.items():
        struct.pack_into(format_, changed, offset, value)
    return bytes(changed)


Entry = tuple[int, int, int, int | bytes]
"""One entry of a TIFF directory: tag, type (2 text, 3 short, 4 long, 5 rational), count, value."""


def directory(entries: list[Entry], following: int = 0, tail: bytes = b"", order: str = "<") -> bytes:
    """A TIFF file of one directory, also the heart of EXIF; "tail" in a value's place is the tail's offset."""
    end = 8 + 2 + 12 * len(entries) + 4
    tail_at = end + sum(len(value) for *_, value in entries if isinstance(value, bytes) and len(value) > 4)
    packed, beyond = b"", b""
    for tag, kind, count, value in entries:
        packed += struct.pack(order + "HHI", tag, kind, count)
        if isinstance(value, bytes) and value != b"tail" and len(value) > 4:
            packed += struct.pack(order + "I", end + len(beyond))
            beyond += value
        elif isinstance(value, bytes):
            packed += struct.pack(order + "I", tail_at) if value == b"tail" else value.ljust(4, b"\0")
        else:
            packed += struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, len(entries))
    return head + packed + struct.pack(order + "I", following) + beyond + tail


def grey_tiff(
    pixels: bytes,
    edges: tuple[int, int] = (48, 36),
    following: int = 0,
    order: str = "<",
    **changed: Entry | None,
) -> bytes:
    """A grey TIFF of one strip, with entries changed, added or (None) left out."""
    width, height = edges
    entries: dict[str, Entry | None] = {
        "width": (256, 4, 1, width),
        "height": (257, 4, 1, height),
        "bits": (258, 3, 1, 8),
        "compression": (259, 3, 1, 1),
        "meaning": (262, 3, 1, 1),
        "strips": (273, 4, 1, b"tail"),
        "rows": (278, 4, 1, height),
        "counts": (279, 4, 1, len(pixels)),
    }
    kept = [entry for entry in (entries | changed).values() if entry is not None]
    return directory(sorted(kept, key=lambda entry: entry[0]), following, pixels, order)


def tiled_tiff(edge: int, tile: bytes) -> bytes:
    """A grey TIFF of 16 x 16 px in one deflated tile of `edge` x `edge` px."""
    return grey_tiff(
        tile,
        (16, 16),
        compression=(259, 3, 1, 8),
        strips=None,
        rows=None,
        counts=None,
        tile_width=(322, 4, 1, edge),
        tile_length=(323, 4, 1, edge),
        tiles=(324, 4, 1, b"tail"),
        tile_counts=(325, 4, 1, len(tile)),
    )


def exif(*entries: Entry, following: int = 0, tail: bytes = b"") -> bytes:
    """An APP1 segment with EXIF of these entries."""
    return segment(0xE1, b"Exif\0\0" + directory(list(entries), following, tail))


ORIENTED: Entry = (0x0112, 3, 1, 6)
"""The stored picture stands on its side: 36 x 48 px upright."""

NAMED: Entry = (0x010E, 2, len(PATIENT) + 1, PATIENT.encode() + b"\0")
"""ImageDescription, with the patient in it."""

XMP = (
    b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/"
    b'1999/02/22-rdf-syntax-ns#\'><rdf:Description tiff:Orientation="6" dc:creator="%s"/></rdf:RDF></x:xmpmeta>'
) % PATIENT.encode()


def scan_bomb(edge: int, scans: int) -> bytes:
    """A progressive grey JPEG that states its (empty) coefficients again and again: each scan costs a pass."""
    blocks = ((edge + 7) // 8) ** 2
    tables = segment(0xDB, b"\0" + b"\1" * 64)
    tables += segment(0xC2, struct.pack(">BHHB", 8, edge, edge, 1) + b"\x01\x11\x00")
    one_code = bytes([1]) + bytes(15)
    tables += segment(0xC4, b"\x00" + one_code + b"\x00") + segment(0xC4, b"\x10" + one_code + b"\xe0")
    first = segment(0xDA, b"\x01\x01\x00\x00\x00\x00") + bytes((blocks + 7) // 8)
    # Each 15 zero bits say "the next 16,384 blocks are empty".
    later = segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") + bytes((-(-blocks // 2**14) * 15 + 7) // 8)
    return b"\xff\xd8" + tables + first + later * scans + b"\xff\xd9"


def interlaced_png() -> bytes:
    """Adam7, which Pillow reads and does not write."""
    pixels = np.asarray(picture())
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [pixels[y::down, x::right] for x, y, right, down in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    return png(48, 36, zlib.compress(rows), interlaced=1)


ARITHMETIC_JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb0043001b12141714111b1716171e1c1b2028422b28252528513a3d304260"
    "5565645f555d5b6a7899816a7190735b5d85b586909ea3abadab6780bcc9baa6c799a8aba4ffdb0043011c1e1e2823284e2b2b4e"
    "a46e5d6ea4" + "a4" * 49 + "ffc90011080008000803012200021101031101ffcc000a0010100501101105ffda000c03010002"
    "110311003f00c9920ec080ffd9"
)
"""8 x 8 px of one colour, made with `jpegtran -arithmetic`: Pillow reads this coding and does not write it."""
