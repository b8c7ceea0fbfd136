"""Files that are to be refused: cut short, bombs, other things under an image's name, impossible headers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from tests.hostile.content import BROKEN, CUT, DECODED, LARGE, NONE, OTHER, Content, each, sound
from tests.hostile.make import (
    ANIMATED_WEBP,
    BMP,
    JPEG,
    PATIENT,
    PNG,
    TIFF,
    WEBP,
    WHOLE,
    directory,
    grey_tiff,
    patched,
    picture,
    png,
    save,
    scan_bomb,
    tiled_tiff,
    with_bmp_header,
    with_chunk,
    with_frame_header,
    zeros,
)


def cut_short() -> Iterator[Content]:
    """Every format at ten places: in the signature, in the header, in the pixels, at the very end."""
    for kind, whole in WHOLE.items():
        in_signature = 1 if kind == "bmp" else 3
        at = [in_signature, *((5, 8, 14, 40) if "tiff" in kind else (4, 12, 14, 40))]
        at += [len(whole) * part // 100 for part in (25, 50, 75, 95)] + [len(whole) - 1]
        for number, length in enumerate(at):
            # A PNG ends with a chunk and checksums that say nothing of its pixels, which are all there.
            right = DECODED if kind == "png" and number == 9 else CUT
            name = f"cut {number} {kind.replace('.', ' ')}.{kind.rpartition('.')[2]}"
            yield Content(name, whole[:length], (right,))


def missing_inside() -> Iterator[Content]:
    """Files that end as they should, and do not hold all pixels that their headers promise."""
    scan, stop = JPEG.index(b"\xff\xda") + 14, b"\xff\xd9"
    half = JPEG[: (scan + len(JPEG)) // 2]
    progressive = save(picture(96, 72), "JPEG", progressive=True)
    grey, ink = (save(picture().convert(mode), "JPEG") for mode in ("L", "CMYK"))
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(picture()))
    packed = zlib.compress(rows)
    yield from each(
        CUT,
        {
            "half a scan and an end.jpg": half + stop,
            "a hundredth missing and an end.jpg": JPEG[: -2 - (len(JPEG) - scan) // 100 - 8] + stop,
            "an empty scan and an end.jpg": JPEG[:scan] + stop,
            "half a scan, then zeros.jpg": half + bytes(len(JPEG) - len(half)),
            "half a progressive jpeg and an end.jpg": progressive[: len(progressive) * 9 // 10] + stop,
            "half a scan, grey.jpg": grey[: len(grey) * 3 // 4] + stop,
            "half a scan, cmyk.jpg": ink[: len(ink) * 3 // 4] + stop,
            "twice the height.jpg": with_frame_header(height=72),
            "header of 2900 px.jpg": with_frame_header(width=2_900, height=2_900),
            "no end.jpg": JPEG[:-2],
            "no end but a newline.jpg": JPEG[:-2] + b"\n",
            "half the stream.png": png(48, 36, packed[: len(packed) // 2]),
            "an empty stream.png": png(48, 36, b""),
            "half the rows.png": png(48, 36, zlib.compress(rows[: len(rows) // 2])),
            "one row of a tiff.tif": grey_tiff(bytes(48), rows=(278, 4, 1, 1), counts=(279, 4, 1, 48)),
            "strips behind the end.tif": grey_tiff(bytes(48 * 36), strips=(273, 4, 1, 10**7)),
            "twice the height.bmp": with_bmp_header(height=72),
            "offset behind the end.bmp": with_bmp_header(offset=10**6),
            "directory behind the end.tif": patched(TIFF, {4: ("<I", 10**6)}),
            "riff longer than the file.webp": patched(WEBP, {4: ("<I", 10**6)}),
            "segment longer than the file.jpg": JPEG[:2] + b"\xff\xe5\xff\xff" + JPEG[2:],
        },
    )
    lost = save(picture(), "JPEG", restart_marker_blocks=1)
    lost = lost[: lost.index(b"\xff\xd1")] + lost[lost.index(b"\xff\xd3") :]
    yield from each(
        (CUT, BROKEN),
        {
            "lost restart intervals.jpg": lost,
            "half the rows deflated.tif": grey_tiff(zlib.compress(bytes(800)), compression=(259, 3, 1, 8)),
            "half a jpeg, then a whole one.jpg": half + JPEG,
        },
    )


def bombs() -> Iterator[Content]:
    for edge in (30_000, 65_535):
        claims = {
            "px.jpg": with_frame_header(width=edge, height=edge),
            "px.png": png(edge, edge, zlib.compress(b"")),
            "px.tif": grey_tiff(b"", (edge, edge)),
            "px.bmp": with_bmp_header(width=edge, height=edge),
            "px top-down.bmp": with_bmp_header(width=edge, height=-edge),
            "px.webp": _canvas(edge),
        }
        yield from each(LARGE, {f"claims {edge} {name}": data for name, data in claims.items()})
    most = 2**31 - 1
    yield from each(
        LARGE,
        {
            "claims 2 to the 31.png": png(most, most, b""),
            "claims 2 to the 31.bmp": with_bmp_header(width=most, height=most),
            "claims 2 to the 32.tif": grey_tiff(b"", (2**32 - 1, 2**32 - 1)),
            "claims 2 to the 24.webp": _canvas(2**24),
            "lossless webp of 16383 px.webp": patched(WEBP, {21: ("<I", 16_382 | 16_382 << 14)}),
            "a real one.png": png(10_400, 10_400, zeros(10_400 * 1_301), depth=1, colours=0),
            "one deflated tile of 81 MP.tif": tiled_tiff(9_008, zeros(9_008**2)),
        },
    )
    # 104 MB of zeros below the limit of pixels; and more behind the last row, which nobody needs.
    yield from sound({"35 million pixels.png": png(5_900, 5_900, zeros(5_900 * 17_701))}, (5_900, 5_900))
    yield from sound({"120 MB too much.png": png(8, 8, zeros(120_000_000))}, (8, 8))
    # Pixels depend on neither.
    text, profile = b"Comment\0\0", b"ICC\0\0"
    yield from sound(
        {
            "120 MB of text.png": with_chunk(b"zTXt", text + zeros(120_000_000)),
            "120 MB of profile.png": with_chunk(b"iCCP", profile + zeros(120_000_000)),
        }
    )
    # Refused for what is not a number of bytes or of pixels, so each of these words would be true.
    yield from each(
        (LARGE, BROKEN, CUT),
        {
            "3000 scans.jpg": scan_bomb(256, 3_000),
            "four billion strips.tif": grey_tiff(
                bytes(64), strips=(273, 4, 2**32 - 1, 8), counts=(279, 4, 2**32 - 1, 8)
            ),
        },
    )


def _canvas(edge: int) -> bytes:
    """An animated WebP whose canvas is said to be so large."""
    start = ANIMATED_WEBP.index(b"VP8X") + 12
    less_one = struct.pack("<I", edge - 1)[:3]
    return ANIMATED_WEBP[:start] + less_one * 2 + ANIMATED_WEBP[start + 6 :]


def no_images() -> Iterator[Content]:
    """Other things under an image's name; and images under the name of another format."""
    garbage = np.random.default_rng(3).integers(128, 256, 5_000, dtype=np.uint8).tobytes()
    archive = b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(60)
    yield from each(
        "empty", {f"nothing at all {suffix}.{suffix}": b"" for suffix in ("jpg", "png", "webp", "tif", "bmp")}
    )
    yield from each(
        NONE,
        {
            "one byte.jpg": b"x",
            "one zero.png": b"\0",
            "zeros.jpg": bytes(4_096),
            "ones.jpg": b"\xff" * 4_096,
            "random.jpg": garbage,
            "text.jpg": b"Befund: unauffaellig.\n" * 40,
            "an error page.jpeg": b"<!DOCTYPE html>\n<html><body>503 Service Unavailable</body></html>",
            "xml.png": b'<?xml version="1.0"?><error>AccessDenied</error>',
            "json.webp": b'{"error": "not found"}',
            "a zip.jpg": archive,
            "a program.jpg": b"\x7fELF\x02\x01\x01" + bytes(60),
            "a windows program.jpg": b"MZ\x90\0" + bytes(60),
            "a gzip.tif": b"\x1f\x8b\x08\0" + bytes(60),
            "a script.jpg": b"#!/bin/sh\ntouch pwned\n",
            "a sound.webp": b"RIFF\x24\0\0\0WAVEfmt " + bytes(30),
            "a film.webp": b"RIFF\x24\0\0\0AVI LIST" + bytes(30),
            "text that begins as a bitmap.bmp": b"BMW is a maker of cars from Munich, of all places.\n" * 3,
            "garbage before a jpeg.jpg": b"garbage" + JPEG,
            "a newline before a png.png": b"\n" + PNG,
            "a png through a text mode.png": PNG.replace(b"\r\n", b"\n"),
            "a link of git lfs.jpg": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            "a mac's own.jpg": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(50),
        },
    )
    yield from each(
        OTHER,
        {
            "a gif.png": save(picture(), "GIF"),
            "an animated gif.jpg": save(picture(), "GIF", save_all=True, append_images=[picture(seed=1)]),
            "a pdf.jpg": save(picture(), "PDF"),
            "an mp4.webp": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + bytes(40),
            "a heic.jpg": b"\x00\x00\x00\x20ftypheic\x00\x00\x00\x00mif1heic" + bytes(40),
            "an avif.jpg": save(picture(), "AVIF"),
            "an svg.png": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            "jpeg 2000.jpg": save(picture(), "JPEG2000"),
            "photoshop.tif": b"8BPS\0\1" + bytes(40),
            "an icon.bmp": save(picture(), "ICO"),
            "bigtiff.tif": save(picture(), "TIFF", big_tiff=True),
            "bigtiff, big end first.tif": b"MM\0+\0\x08\0\0" + bytes(60),
        },
    )
    yield from sound(
        {"a png.jpg": PNG, "a jpeg.png": JPEG, "a webp.bmp": WEBP, "a tiff.webp": TIFF, "a bmp.tiff": BMP}
    )


def broken_headers() -> Iterator[Content]:
    """Whole files with numbers in their headers that no image can have."""
    row = zlib.compress(bytes((48 * 3 + 1) * 36))
    yield from each(
        BROKEN,
        {
            "no height.jpg": with_frame_header(height=0),
            "no width.jpg": with_frame_header(width=0),
            "height comes later.jpg": with_frame_header(height=0)[:-2] + b"\xff\xdc\0\4\0\x24\xff\xd9",
            "dicom.jpg": bytes(128) + b"DICM" + PATIENT.encode() + bytes(40),
            "12 bits.jpg": with_frame_header(bits=12),
            "lossless.jpg": with_frame_header(marker=0xC3),
            "hierarchical.jpg": with_frame_header(marker=0xC5),
            "no components.jpg": with_frame_header(components=0),
            "255 components.jpg": with_frame_header(components=255),
            "sampled 0 times.jpg": with_frame_header(sampling=0),
            "sampled 15 times.jpg": with_frame_header(sampling=0xFF),
            "a table that is missing.jpg": with_frame_header(table=3),
            "no tables.jpg": JPEG.replace(b"\xff\xdb", b"\xff\xe7"),
            "no frame.jpg": JPEG.replace(b"\xff\xc0", b"\xff\xe7"),
            "zeros after the signature.jpg": b"\xff\xd8\xff\xe0" + bytes(500),
            "no width.png": png(0, 36, row),
            "no height.png": png(48, 0, row),
            "3 bits.png": png(48, 36, row, depth=3),
            "colour type 5.png": png(48, 36, row, colours=5),
            "a palette that is missing.png": png(48, 36, row, colours=3),
            "garbage for a stream.png": png(48, 36, b"garbage" * 50),
            "a wrong checksum of the header.png": patched(PNG, {29: (">I", 0)}),
            "no pixels.png": PNG[:33] + PNG[-12:],
            "no width.tif": grey_tiff(bytes(64), (0, 36)),
            "no entries.tif": directory([]),
            "no strips.tif": grey_tiff(bytes(48 * 36), strips=None, counts=None),
            "a coding nobody knows.tif": grey_tiff(bytes(48 * 36), compression=(259, 3, 1, 9_999)),
            "3 bits.tif": grey_tiff(bytes(48 * 36), bits=(258, 3, 1, 3)),
            "200 samples.tif": grey_tiff(bytes(48 * 36), samples=(277, 3, 1, 200)),
            "garbage in lzw.tif": grey_tiff(b"garbage" * 100, compression=(259, 3, 1, 5)),
            "floats of 64 bits.tif": grey_tiff(bytes(48 * 36 * 8), bits=(258, 3, 1, 64), format=(339, 3, 1, 3)),
            "no width.bmp": with_bmp_header(width=0),
            "no bits.bmp": with_bmp_header(bits=0),
            "a jpeg inside.bmp": with_bmp_header(compression=4),
            "a coding nobody knows.bmp": with_bmp_header(compression=99),
            "riff shorter than the file.webp": patched(WEBP, {4: ("<I", 100)}),
            "canvas smaller than the picture.webp": _canvas(20),
            "no frame.webp": b"RIFF\x04\0\0\0WEBP",
        },
    )
