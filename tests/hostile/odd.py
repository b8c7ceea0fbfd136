"""Files that are odd and sound: rare codings, absurd EXIF, several pictures. Each is to be decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import simplejpeg
from PIL import Image

from tests.hostile.content import BROKEN, DECODED, Content, each, sound
from tests.hostile.make import (
    ANIMATED_WEBP,
    ARITHMETIC_JPEG,
    NAMED,
    ORIENTED,
    PATIENT,
    PNG,
    WEBP,
    WHOLE,
    XMP,
    exif,
    grey_tiff,
    interlaced_png,
    patched,
    picture,
    png,
    save,
    segment,
    tiled_tiff,
    with_bmp_header,
    with_chunk,
    with_segments,
)


def odd_jpegs() -> Iterator[Content]:
    rgb, one = np.asarray(picture()), save(picture(), "JPEG", quality=90)
    inverse_ink = 255 - np.asarray(picture().convert("CMYK"))
    yield from sound(
        {f"sampled {way}.jpg": simplejpeg.encode_jpeg(rgb, 90, "RGB", way) for way in ("444", "422", "420")}
        | {f"sampled {way}.jpg": simplejpeg.encode_jpeg(rgb, 90, "RGB", way) for way in ("440", "411")}
        | {
            "progressive.jpg": WHOLE["progressive.jpeg"],
            "with restart markers.jpg": save(picture(), "JPEG", restart_marker_blocks=1),
            "stored as rgb.jpg": save(picture(), "JPEG", keep_rgb=True),
            "grey.jpg": save(picture().convert("L"), "JPEG"),
            "cmyk.jpg": save(picture().convert("CMYK"), "JPEG"),
            "ycck.jpg": simplejpeg.encode_jpeg(inverse_ink, 90, "CMYK", "420"),
            "several pictures.jpg": save(picture(), "MPO", save_all=True, append_images=[picture(seed=1)]),
            "garbage after the end.jpg": one + b"garbage" * 1_000,
            "two beginnings.jpg": one[:2] + one,
            "two in one file.jpg": one + save(picture(seed=1), "JPEG"),
            "stray bytes before the end.jpg": one[:-2] + b"\x11\x22\x33" + one[-2:],
            "filled with ff.jpg": one[:2] + b"\xff" * 1_000 + one[2:],
            "no jfif.jpg": one[:2] + one[20:],
            "300 large segments.jpg": with_segments(*[segment(0xE5, bytes(65_533))] * 300),
            "64 kB of comment.jpg": with_segments(segment(0xFE, PATIENT.encode() * 4_000)),
            "a profile that is none.jpg": save(picture(), "JPEG", icc_profile=b"no profile" * 10_000),
            "a piece of a profile.jpg": with_segments(segment(0xE2, b"ICC_PROFILE\0\x05\x02" + bytes(50))),
            "a broken index of pictures.jpg": with_segments(segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff")),
            "broken photoshop notes.jpg": with_segments(segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\xff")),
        }
    )
    # Pillow refuses these two and libjpeg-turbo does not: what is right is right in both modes.
    yield from each(
        (DECODED, BROKEN),
        {
            "jfif that ends early.jpg": one[:2] + segment(0xE0, b"JFIF\0") + one[20:],
            "adobe that ends early.jpg": with_segments(segment(0xEE, b"Adobe")),
        },
    )
    for width, height in ((1, 1), (8, 8), (1, 60_000), (60_000, 1), (7, 65_500), (17, 3)):
        data = save(picture(width, height), "JPEG")
        yield from sound({f"{width} x {height}.jpg": data}, (width, height))
    yield from sound({"arithmetic.jpg": ARITHMETIC_JPEG}, (8, 8))


def odd_pngs() -> Iterator[Content]:
    at = PNG.index(b"IDAT") + 4
    checksum = at + int.from_bytes(PNG[at - 8 : at - 4], "big")
    transparent = picture().convert("RGBA")
    transparent.putalpha(90)
    few = picture().quantize(16)
    deep = np.asarray(picture().convert("L")).astype(np.uint16) * 257
    deep_rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(picture()).astype(">u2") * 257)
    yield from sound(
        {
            "interlaced.png": interlaced_png(),
            "animated.png": save(picture(), "PNG", save_all=True, append_images=[picture(seed=1)]),
            "palette with a clear colour.png": save(few, "PNG", transparency=3),
            "palette with clear colours.png": save(few, "PNG", transparency=bytes(range(200, 216))),
            "rgba.png": save(transparent, "PNG"),
            "grey and alpha.png": save(transparent.convert("LA"), "PNG"),
            "one bit.png": save(picture().convert("1"), "PNG"),
            "grey of 16 bits.png": save(Image.fromarray(deep), "PNG"),
            "rgb of 16 bits.png": png(48, 36, zlib.compress(deep_rows), depth=16),
            "no end chunk.png": PNG[:-12],
            "garbage after the end.png": PNG + b"garbage" * 100,
            "a wrong checksum of whole pixels.png": patched(PNG, {checksum: (">I", 0)}),
            "a text with the patient.png": with_chunk(b"tEXt", b"Author\0" + PATIENT.encode()),
            "a profile that is none.png": with_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"none")),
            "the patient for exif.png": with_chunk(b"eXIf", PATIENT.encode()),
            "a length of 4 GB.png": patched(PNG, {33: (">I", 2**32 - 1)}),
            "a chunk nobody knows.png": with_chunk(b"abCd", bytes(1_000)),
        }
    )


def odd_tiffs() -> Iterator[Content]:
    grey = picture().convert("L")
    pixels, levels = grey.tobytes(), np.asarray(grey)
    pages = [picture(seed=seed) for seed in (1, 2)]
    floats = levels.astype("<f4")
    floats[0, :3] = np.nan, -np.inf, -5
    signed = levels.astype("<i2") * 100
    wide, as_floats = (258, 3, 1, 32), (339, 3, 1, 3)
    endless = floats.copy()
    endless[0, 0] = np.inf
    yield from sound(
        {f"{way}.tif": save(picture(), "TIFF", compression=way) for way in ("tiff_lzw", "packbits", "jpeg")}
        | {
            "big end first.tif": grey_tiff(pixels, order=">"),
            "several pages.tif": save(picture(), "TIFF", save_all=True, append_images=pages),
            "pages in a circle.tif": grey_tiff(pixels, following=8),
            "a page behind the end.tif": grey_tiff(pixels, following=10**8),
            "a directory within itself.tif": grey_tiff(pixels, sub=(330, 4, 1, 8)),
            "two directories within each other.tif": grey_tiff(pixels, a=(330, 4, 2, struct.pack("<II", 8, 8))),
            "cmyk.tif": save(picture().convert("CMYK"), "TIFF"),
            "grey of 16 bits.tif": save(Image.fromarray(levels.astype(np.uint16) * 257), "TIFF"),
            "signed numbers.tif": grey_tiff(signed.tobytes(), bits=(258, 3, 1, 16), format=(339, 3, 1, 2)),
            "floats, some of them none.tif": grey_tiff(floats.tobytes(), bits=wide, format=as_floats),
            "floats, one of them endless.tif": grey_tiff(endless.tobytes(), bits=wide, format=as_floats),
            "one bit.tif": save(picture().convert("1"), "TIFF", compression="group4"),
            "palette.tif": save(picture().quantize(16), "TIFF"),
            "rgba.tif": save(picture().convert("RGBA"), "TIFF"),
            "65535 entries.tif": patched(grey_tiff(pixels), {8: ("<H", 65_535)}),
            "a strip of 4 GB.tif": grey_tiff(pixels, counts=(279, 4, 1, 2**32 - 1)),
            "a text of 4 GB.tif": grey_tiff(pixels, text=(270, 2, 2**32 - 1, 8)),
            "the patient in a tag.tif": grey_tiff(pixels, text=NAMED),
        }
    )
    yield from sound({"one tile.tif": tiled_tiff(16, zlib.compress(bytes(256)))}, (16, 16))


def odd_others() -> Iterator[Content]:
    rgb, grey = np.asarray(picture()), np.asarray(picture().convert("L"))
    upwards = b"".join(b"\0\x30" + row.tobytes() + b"\0\0" for row in grey[::-1]) + b"\0\1"
    red, green, blue = np.moveaxis(rgb[::-1].astype("<u2"), 2, 0)
    small = ((red >> 3 << 11) + (green >> 2 << 5) + (blue >> 3)).tobytes()
    palette = b"".join(bytes([level] * 3) + b"\0" for level in range(256))
    runs = struct.pack("<2sIIIIiiHHIIIIII", b"BM", 0, 0, 1078, 40, 48, 36, 1, 8, 1, 0, 0, 0, 256, 0)
    masks = struct.pack("<2sIIIIiiHHIIIIII", b"BM", 0, 0, 66, 40, 48, 36, 1, 16, 3, 0, 0, 0, 0, 0)
    masks += struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    old = struct.pack("<2sIIIIHHHH", b"BM", 0, 0, 26, 12, 48, 36, 1, 24)
    yield from sound(
        {
            "top-down.bmp": with_bmp_header(height=-36),
            "size of 0 bytes.bmp": with_bmp_header(file_size=0),
            "size of 4 GB.bmp": with_bmp_header(file_size=2**32 - 1),
            "run lengths.bmp": runs + palette + upwards,
            "16 bits.bmp": masks + small,
            "of os2.bmp": old + rgb[::-1, :, ::-1].tobytes(),
            "32 bits.bmp": save(picture().convert("RGBA"), "BMP"),
            "animated.webp": ANIMATED_WEBP,
            "animated, second frame broken.webp": ANIMATED_WEBP[:-100] + bytes(100),
            "lossy.webp": save(picture(), "WEBP"),
            "lossy and clear.webp": save(picture().convert("RGBA"), "WEBP"),
            "garbage after the end.webp": WEBP + b"garbage" * 100,
            "profile that is none.webp": save(picture(), "WEBP", icc_profile=b"no profile" * 100),
        }
    )


def metadata() -> Iterator[Content]:
    """Absurd EXIF and XMP: pixels are whole, so it is decoded; turned where the orientation can be read."""
    short, upright, turned = (0x0112, 3, 1), (48, 36), (36, 48)
    for value in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65_535):
        data = with_segments(exif((*short, value)))
        yield from sound({f"orientation {value}.jpg": data}, turned if 5 <= value <= 8 else upright)
    yield from sound(
        {
            "orientation in words.jpg": with_segments(exif((0x0112, 2, 2, b"6\0"))),
            "orientation without a value.jpg": with_segments(exif((0x0112, 3, 0, 6))),
            "orientation of type 99.jpg": with_segments(exif((0x0112, 99, 1, 6))),
            "orientation of 0 by 0.jpg": with_segments(exif((0x0112, 5, 1, bytes(8)))),
            "nothing in exif.jpg": with_segments(segment(0xE1, b"Exif\0\0")),
            "the patient for exif.jpg": with_segments(segment(0xE1, b"Exif\0\0" + PATIENT.encode() * 9)),
            "exif that ends early.jpg": with_segments(segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff")),
            "exif behind its end.jpg": with_segments(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f")),
        },
        upright,
    )
    place = (0x8825, 4, 1, 8)
    oriented = {
        "exif in a circle.jpg": exif(ORIENTED, following=8),
        "exif within itself.jpg": exif(ORIENTED, (0x8769, 4, 1, 8)),
        "place within itself.jpg": exif(ORIENTED, place),
        "place behind the end.jpg": exif(ORIENTED, (0x8825, 4, 1, 10**8)),
        "place of words.jpg": exif(ORIENTED, (0x8825, 2, 4, b"abc\0")),
        "a text behind the end.jpg": exif(ORIENTED, (0x010F, 2, 1_000, 50_000)),
        "a text of 4 GB.jpg": exif(ORIENTED, (0x010F, 2, 2**32 - 1, 8)),
        "a number in words.jpg": exif((0x0100, 2, len(PATIENT), PATIENT.encode()), ORIENTED),
        "64 kB of exif.jpg": exif(NAMED, ORIENTED, (0x010F, 2, 65_000, bytes(65_000))),
        "the patient and the place.jpg": exif(NAMED, ORIENTED, (0x8825, 4, 1, b"tail"), tail=_somewhere()),
        "orientation in xmp.jpg": segment(0xE1, XMP),
        "xmp that is no text.jpg": segment(0xE1, XMP.replace(b"<x:", b"\xff\xfe<x:")),
    }
    yield from sound({name: with_segments(one) for name, one in oriented.items()}, turned)
    tags = Image.Exif()
    tags[0x0112], tags[0x010E], tags[0x9C9D] = 6, PATIENT, PATIENT.encode("utf-16-le")  # XPAuthor is UTF-16
    for format_, suffix in {"PNG": "png", "WEBP": "webp", "TIFF": "tif"}.items():
        yield from sound({f"the patient in {suffix}.{suffix}": save(picture(), format_, exif=tags)}, turned)


def _somewhere() -> bytes:
    """A GPS directory: north, and latitude in words."""
    return struct.pack("<HHHI4sHHI4sI", 2, 1, 2, 2, b"N\0\0\0", 2, 2, 4, b"abc\0", 0)
