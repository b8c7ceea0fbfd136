"""Small files that cost much: each is decoded or refused within the memory and the time that an image may take.

Made when they are asked for, by name: some have 64 MiB, and making one takes more memory than decoding it may.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.hostile.make import (
    ANIMATED_WEBP,
    ARITHMETIC_JPEG,
    JPEG,
    PNG,
    chunk,
    directory,
    exif,
    grey_tiff,
    patched,
    picture,
    png,
    save,
    scan_bomb,
    segment,
    with_chunk,
    with_segments,
    zeros,
)

EDGE = 8_000
"""Of most of these: 64 million pixels, the most that are decoded in full."""

MOST = 64 * 2**20
"""Bytes of the largest file that is read."""


def empty_blocks(blocks: int) -> bytes:
    """A deflate stream of blocks that hold nothing, each with tables of its own: 11 bytes and 2 us a block."""
    bits: list[int] = []

    def put(value: int, width: int) -> None:
        bits.extend(value >> bit & 1 for bit in range(width))

    # Not the last, tables of its own, 257 + 1 codes, 18 lengths of codes of lengths.
    for value, width in ((0, 1), (2, 2), (0, 5), (0, 5), (14, 4)):
        put(value, width)
    # Those lengths, in the order 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1: 18 and 1 have one bit.
    for place in range(18):
        put(1 if place in (2, 17) else 0, 3)
    one, many = (0, 1), (1, 1)  # code of length 1, code of "so many zeros"
    for value, width in (many, (127, 7), many, (107, 7), one, one):  # 138 + 118 zeros, code 256, distance 0
        put(value, width)
    put(0, 1)  # code 256: the end of the block
    while len(bits) % 8:  # eight blocks end where a byte does
        bits = bits * 8
    packed = np.packbits(np.array(bits, dtype=np.uint8), bitorder="little").tobytes()
    each = 8 if len(bits) > 200 else 1
    return b"\x78\x01" + packed * (blocks // each)


def deflated_tiff(samples: int, bits: int, meaning: int, *, rows: int = EDGE, **changed: object) -> bytes:
    """A TIFF of zeros, 8,000 x 8,000 px, deflated in strips of so many rows."""
    strips = -(-EDGE // rows)
    strip = zeros(rows * EDGE * samples * bits // 8)
    place: tuple[int, int, int, int | bytes] = (273, 4, 1, b"tail")
    lengths: tuple[int, int, int, int | bytes] = (279, 4, 1, len(strip))
    if strips > 1:  # every strip is the same one, far behind the directory
        place = (273, 4, strips, struct.pack("<I", 10**6) * strips)
        lengths = (279, 4, strips, struct.pack("<I", len(strip)) * strips)
    depth = (
        (258, 3, samples, struct.pack(f"<{samples}H", *[bits] * samples)) if samples > 1 else (258, 3, 1, bits)
    )
    entries = {
        "bits": depth,
        "compression": (259, 3, 1, 8),
        "meaning": (262, 3, 1, meaning),
        "samples": (277, 3, 1, samples),
        "rows": (278, 4, 1, rows),
        "strips": place,
        "counts": lengths,
    }
    whole = grey_tiff(b"" if strips > 1 else strip, (EDGE, EDGE), **(entries | changed))  # type: ignore[arg-type]
    return whole.ljust(10**6, b"\0") + strip if strips > 1 else whole


def flat(mode: str, format_: str, edges: tuple[int, int] = (EDGE, EDGE), **options: object) -> bytes:
    """An image of one colour."""
    return save(Image.new(mode, edges), format_, **options)


def run_lengths(width: int, height: int, packed: bytes, coding: int = 1) -> bytes:
    """A BMP in run lengths: coding 1 has 8 bits a pixel, 2 has 4."""
    palette = b"".join(bytes((value, value, 255 - value, 0)) for value in range(256))
    size, start = 54 + 1024 + len(packed), 54 + 1024
    header = struct.pack("<2sIIIIiiHH", b"BM", size, 0, start, 40, width, height, 1, 8 // coding)
    return header + struct.pack("<IIIIII", coding, len(packed), 0, 0, 256, 0) + palette + packed


def webp(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A lossless WebP of one colour that claims to be so large, in 34 bytes."""
    body = b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + (pixels or b"\x88\x88\x08\0\0\0\0\0\0")
    body += b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body


def many_frames(frames: int) -> bytes:
    """An animated WebP of so many small frames."""
    start = ANIMATED_WEBP.index(b"ANMF")
    length = 8 + struct.unpack_from("<I", ANIMATED_WEBP, start + 4)[0]
    frame = b"ANMF" + struct.pack("<I", 16 + 8 + 14) + bytes(6) + bytes(10) + webp(1, 1)[12:34]
    body = ANIMATED_WEBP[8 : start + length] + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def arithmetic(edge: int) -> bytes:
    """A JPEG in arithmetic coding that claims to be so large."""
    start = ARITHMETIC_JPEG.index(b"\xff\xc9")
    return patched(ARITHMETIC_JPEG, {start + 5: (">H", edge), start + 7: (">H", edge)})


def noise(edge: int, **options: object) -> bytes:
    """A JPEG of large blocks of colour."""
    coarse = np.random.default_rng(0).integers(0, 256, (edge // 20, edge // 20, 3), dtype=np.uint8)
    return save(Image.fromarray(coarse).resize((edge, edge), Image.Resampling.NEAREST), "JPEG", **options)


def between(data: bytes, marker: bytes, more: bytes) -> bytes:
    """More bytes before the last marker of this kind."""
    at = data.rindex(marker)
    return data[:at] + more + data[at:]


def _oriented_png() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    return with_chunk(b"eXIf", tags.tobytes()[6:], flat("RGB", "PNG"))


FILES: dict[str, Callable[[], bytes]] = {
    # The issue's own
    "float.tif": lambda: save(
        Image.fromarray(np.full((EDGE, EDGE), 0.5, "f4")), "TIFF", compression="tiff_adobe_deflate"
    ),
    "34 bytes.webp": lambda: webp(EDGE, EDGE),
    "rgba.png": lambda: flat("RGBA", "PNG"),
    "run lengths that end nowhere.bmp": lambda: run_lengths(EDGE, EDGE, b"\x01\x05" * 30_000_000),
    "2 million empty exif segments.jpg": lambda: with_segments(b"\xff\xe1\0\x02" * 2_000_000),
    # Modes of PNG
    "grey of 16 bits.png": lambda: png(EDGE, EDGE, zeros(EDGE * (1 + 2 * EDGE)), depth=16, colours=0),
    "grey and alpha.png": lambda: flat("LA", "PNG"),
    "grey and alpha of 16 bits.png": lambda: png(EDGE, EDGE, zeros(EDGE * (1 + 4 * EDGE)), depth=16, colours=4),
    "rgba of 16 bits.png": lambda: png(EDGE, EDGE, zeros(EDGE * (1 + 8 * EDGE)), depth=16, colours=6),
    "rgba interlaced.png": lambda: png(EDGE, EDGE, zeros(EDGE * (15 + 4 * EDGE)), colours=6, interlaced=1),
    "one bit.png": lambda: flat("1", "PNG"),
    "palette with alpha.png": lambda: save(Image.new("P", (EDGE, EDGE)), "PNG", transparency=bytes(range(200))),
    "rgb with a clear colour.png": lambda: flat("RGB", "PNG", transparency=(0, 0, 0)),
    "turned.png": _oriented_png,
    "as wide as it gets.png": lambda: png(2_000_000, 32, zeros(32 * 6_000_001)),
    "as high as it gets.png": lambda: png(32, 2_000_000, zeros(97 * 2_000_000)),
    # Chunks of PNG
    "5 million empty chunks of pixels.png": lambda: between(
        PNG, b"\0\0\0\0IEND", chunk(b"IDAT", b"") * 5_000_000
    ),
    "5 million empty chunks before pixels.png": lambda: (
        with_chunk(b"IDAT", b"")[:33] + chunk(b"IDAT", b"") * 5_000_000 + PNG[33:]
    ),
    "4 million texts.png": lambda: PNG[:33] + chunk(b"tEXt", b"a\0") * 4_000_000 + PNG[33:],
    "4 million texts behind.png": lambda: between(PNG, b"\0\0\0\0IEND", chunk(b"tEXt", b"a\0") * 4_000_000),
    "60 texts of 1 MB.png": lambda: PNG[:33] + chunk(b"zTXt", b"a\0\0" + zeros(2**20 - 1)) * 60 + PNG[33:],
    "60 wide texts of 1 MB.png": lambda: (
        PNG[:33]
        + b"".join(
            chunk(b"iTXt", b"a%d\0\1\0\0\0" % one + zlib.compress(b"a" * (2**20 - 9) + "\U0001f600".encode()))
            for one in range(60)
        )
        + PNG[33:]
    ),
    "1000 profiles of 1 MB.png": lambda: (
        PNG[:33] + chunk(b"iCCP", b"a\0\0" + zeros(2**20 - 1)) * 1_000 + PNG[33:]
    ),
    "60 MB of exif.png": lambda: with_chunk(
        b"eXIf", directory([(270, 2, 60_000_000, b"tail")], tail=bytes(60_000_000))
    ),
    "60 MB of text.png": lambda: with_chunk(b"tEXt", b"a\0" + b"b" * 60_000_000),
    "blocks that hold nothing.png": lambda: png(EDGE, EDGE, empty_blocks(5_000_000), colours=6),
    "an animation of 100,000.png": lambda: between(
        PNG,
        b"\0\0\0\0IEND",
        b"".join(
            chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * one, 48, 36, 0, 0, 1, 9, 0, 0))
            + chunk(b"fdAT", struct.pack(">I", 2 * one + 1))
            for one in range(100_000)
        ),
    ),
    # TIFF
    "grey of 16 bits.tif": lambda: deflated_tiff(1, 16, 1),
    "numbers of 32 bits.tif": lambda: deflated_tiff(1, 32, 1, format=(339, 3, 1, 2), rows=64),
    "numbers of 32 bits in one strip.tif": lambda: deflated_tiff(1, 32, 1, format=(339, 3, 1, 2)),
    "cmyk.tif": lambda: deflated_tiff(4, 8, 5, rows=64),
    "cmyk in one strip.tif": lambda: deflated_tiff(4, 8, 5),
    "rgb in one strip.tif": lambda: deflated_tiff(3, 8, 2),
    "rgb of 16 bits.tif": lambda: deflated_tiff(3, 16, 2, rows=64),
    "rgb of 16 bits in one strip.tif": lambda: deflated_tiff(3, 16, 2),
    "rgb in planes.tif": lambda: save(
        Image.new("RGB", (6_000, 6_000)), "TIFF", compression="tiff_lzw", tiffinfo={284: 1}
    ),
    "rgba turned.tif": lambda: deflated_tiff(4, 8, 2, extra=(338, 3, 1, 2), turned=(274, 3, 1, 6), rows=64),
    "lab.tif": lambda: deflated_tiff(3, 8, 8, rows=64),
    "ycbcr without jpeg.tif": lambda: deflated_tiff(3, 8, 6, rows=64),
    "one bit in group 4.tif": lambda: flat("1", "TIFF", compression="group4"),
    "jpeg inside.tif": lambda: save(Image.new("RGB", (EDGE, EDGE)), "TIFF", compression="jpeg"),
    "packbits.tif": lambda: flat("RGB", "TIFF", compression="packbits"),
    "lzw.tif": lambda: flat("RGB", "TIFF", compression="tiff_lzw"),
    "lzma.tif": lambda: flat("L", "TIFF", compression="lzma"),
    "zstd.tif": lambda: flat("RGB", "TIFF", compression="zstd"),
    "8 million strips.tif": lambda: grey_tiff(
        bytes(48 * 36),
        strips=(273, 4, 8_000_000, bytes(32_000_000)),
        counts=(279, 4, 8_000_000, bytes(32_000_000)),
    ),
    "90,000 strips.tif": lambda: grey_tiff(
        b"\0" * 90_000,
        (1, 90_000),
        rows=(278, 4, 1, 1),
        strips=(273, 4, 90_000, b"".join(struct.pack("<I", 10**6 + one) for one in range(90_000))),
        counts=(279, 4, 90_000, struct.pack("<I", 1) * 90_000),
    ).ljust(1_100_000, b"\0"),
    "30 million bits.tif": lambda: grey_tiff(bytes(48 * 36), bits=(258, 3, 30_000_000, bytes(60_000_000))),
    "65,000 tags of 1 MB.tif": lambda: directory(
        [(256, 4, 1, 48), (257, 4, 1, 36), *[(tag, 2, 2**20, 8) for tag in range(1_000, 65_000)]],
        tail=bytes(2**21),
    ),
    "a million directories.tif": lambda: (
        grey_tiff(bytes(48 * 36), following=10_000).ljust(10_000, b"\0")
        + b"".join(struct.pack("<HI", 0, 10_000 + 6 * (one + 1)) for one in range(10**6))
    ),
    "60 MB of photoshop.tif": lambda: grey_tiff(
        bytes(48 * 36), layers=(37_724, 7, 60_000_000, bytes(60_000_000))
    ),
    "blocks that hold nothing.tif": lambda: grey_tiff(
        empty_blocks(5_900_000), (EDGE, EDGE), compression=(259, 3, 1, 8), rows=(278, 4, 1, EDGE)
    ),
    # WebP
    "16383 px.webp": lambda: webp(16_383, 16_383),
    "4400 px.webp": lambda: webp(4_400, 4_400),
    "lossless noise.webp": lambda: save(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (3_900, 3_900, 3), dtype=np.uint8)),
        "WEBP",
        lossless=True,
        method=0,
        quality=0,
    ),
    "lossy.webp": lambda: flat("RGB", "WEBP", (4_900, 4_900)),
    "lossy and clear.webp": lambda: flat("RGBA", "WEBP", (4_900, 4_900)),
    "a canvas of 8000 px.webp": lambda: patched(ANIMATED_WEBP, {24: ("<I", 7_999), 27: ("<I", 7_999)}),
    "a million frames.webp": lambda: many_frames(1_000_000),
    # BMP
    "runs of one in 16 million pixels.bmp": lambda: run_lengths(4_000, 4_000, b"\x01\x05" * 1_900_000),
    "ends of lines alone.bmp": lambda: run_lengths(16_000, 1_000, b"\x01\x05\0\0" * 1_000),
    "ends of lines alone in 64 million.bmp": lambda: run_lengths(EDGE, EDGE, b"\x01\x05\0\0" * EDGE),
    "pairs of 4 bits.bmp": lambda: run_lengths(4_000, 4_000, b"\xff\x12" * 64_000, 2),
    "deltas.bmp": lambda: run_lengths(4_000, 4_000, b"\0\x02\x01\0" * 900_000),
    "as they are, 4 bits.bmp": lambda: run_lengths(4_000, 4_000, (b"\0\xfe" + bytes(127) + b"\0") * 30_000, 2),
    "8 bits.bmp": lambda: save(picture(EDGE, EDGE).quantize(64), "BMP"),
    "one bit.bmp": lambda: flat("1", "BMP"),
    "16 bits.bmp": lambda: (
        struct.pack(
            "<2sIIIIiiHHIIIIIIIII",
            b"BM",
            0,
            0,
            66,
            40,
            5_700,
            5_700,
            1,
            16,
            3,
            0,
            0,
            0,
            0,
            0,
            0xF800,
            0x07E0,
            0x001F,
        )
        + bytes(2 * 5_700 * 5_700)
    ),
    # JPEG
    "8 million empty segments.jpg": lambda: with_segments(b"\xff\xe5\0\x02" * 8_000_000),
    "15 million comments in the scan.jpg": lambda: between(JPEG, b"\xff\xd9", b"\xff\xfe\0\x02" * 15_000_000),
    "60 MB of fill bytes.jpg": lambda: JPEG[:2] + b"\xff" * 60_000_000 + JPEG[2:],
    "60 MB of fill bytes at the end.jpg": lambda: between(JPEG, b"\xff\xd9", b"\xff" * 60_000_000),
    "60 MB of zeros after the beginning.jpg": lambda: JPEG[:3] + b"\0" * 60_000_000 + JPEG[2:],
    "30 million ends.jpg": lambda: JPEG[:2] + b"\xff\xd9" * 30_000_000 + JPEG[2:],
    "30 million no markers.jpg": lambda: JPEG[:2] + b"\xff\0" * 30_000_000 + JPEG[2:],
    "1000 segments of exif.jpg": lambda: with_segments(exif((0x010F, 2, 65_000, bytes(65_000))) * 1_000),
    "an exif of 5000 tags.jpg": lambda: with_segments(exif(*[(tag, 3, 1, 0) for tag in range(5_000)])),
    "1000 segments of photoshop.jpg": lambda: with_segments(
        segment(0xED, b"Photoshop 3.0\0" + (b"8BIM\x03\xed" + bytes(6)) * 5_400) * 1_000
    ),
    "1000 segments of tables.jpg": lambda: with_segments(segment(0xDB, (b"\0" + b"\1" * 64) * 1_000) * 1_000),
    "50 segments of tables.jpg": lambda: with_segments(segment(0xDB, (b"\0" + b"\1" * 64) * 1_000) * 50),
    "a profile of 16 MB.jpg": lambda: with_segments(
        *[segment(0xE2, b"ICC_PROFILE\0" + bytes((one + 1, 255)) + bytes(65_000)) for one in range(255)]
    ),
    "200 scans of 16 million pixels.jpg": lambda: scan_bomb(4_000, 198),
    "200 scans of 64 million pixels.jpg": lambda: scan_bomb(EDGE, 198),
    "28 scans of 64 million pixels.jpg": lambda: scan_bomb(EDGE, 26),
    "rgb.jpg": lambda: noise(EDGE, quality=90, subsampling=0),
    "progressive.jpg": lambda: noise(EDGE, quality=90, progressive=True),
    "progressive, 4:4:4.jpg": lambda: noise(6_000, quality=90, progressive=True, subsampling=0),
    "cmyk.jpg": lambda: flat("CMYK", "JPEG"),
    "cmyk progressive.jpg": lambda: flat("CMYK", "JPEG", progressive=True),
    "grey.jpg": lambda: flat("L", "JPEG"),
    "restarts everywhere.jpg": lambda: noise(EDGE, quality=50, restart_marker_blocks=1),
    "12000 x 8000.jpg": lambda: flat("RGB", "JPEG", (12_000, 8_000)),
    "65500 x 900.jpg": lambda: flat("RGB", "JPEG", (65_500, 900)),
    "900 x 65500.jpg": lambda: flat("RGB", "JPEG", (900, 65_500)),
    "65500 x 850.jpg": lambda: flat("RGB", "JPEG", (65_500, 850)),
    "65500 x 100.jpg": lambda: flat("RGB", "JPEG", (65_500, 100)),
    "arithmetic.jpg": lambda: arithmetic(EDGE),
    "arithmetic of 4 million pixels.jpg": lambda: arithmetic(2_000),
    "turned.jpg": lambda: with_segments(exif((0x0112, 3, 1, 6)), jpeg=noise(EDGE, quality=80)),
    "turned cmyk.jpg": lambda: with_segments(exif((0x0112, 3, 1, 6)), jpeg=flat("CMYK", "JPEG")),
    "stray bytes.jpg": lambda: between(noise(EDGE, quality=80), b"\xff\xd9", b"\x11\x22\x33"),
}
"""By name, whose suffix is that of its format."""
