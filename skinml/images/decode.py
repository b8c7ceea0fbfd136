"""Bytes of an image file to square RGB pixels, or the reason why not.

Two modes. `exact` is bit-equal to `np.asarray(Image.open(path).resize((size, size)))`, Pillow's full decode
and bicubic resize. `fast` lets libjpeg-turbo decode a JPEG at the smallest scale that is at least twice the
target, then resizes with the same bicubic filter in SIMD code; docs/benchmarks.md has what that costs in
fidelity. Other formats are decoded in full in both modes.

What anything becomes: RGB. Grey is repeated, palettes are looked up, transparency is laid over white, CMYK
is converted as Pillow does without profiles, 16 bits keep their upper 8, floats of 0 to 1 are stretched. EXIF
orientation is honoured; no metadata goes any further (it can hold a patient's name or place).
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from cykooz_resizer import FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from skinml.errors import ImageRejected, Reason
from skinml.images import jpeg
from skinml.images.whole import check_png, ends_early
from skinml.storage.objects import MAX_OBJECT_BYTES

DecodeMode = Literal["fast", "exact"]
RESIZE_FILTER = "bicubic"
"""Catmull-Rom, anti-aliased, Pillow's default for RGB; part of the dataset key and of every model bundle."""

MAX_PIXELS = 64_000_000
"""8,000 x 8,000: 192 MB of RGB, the most that a worker of ordinary size should hold for one image."""

ORIENTATION_TAG = 0x0112

FORMATS: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "WEBP": (b"RIFF",),
    "TIFF": (b"II*\x00", b"MM\x00*"),
    "BMP": (b"BM",),
}
"""Formats that are decoded, by how their files begin: content counts, never the name."""

BMP_HEADERS = tuple(struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124))

OTHER_FORMATS: dict[str, tuple[int, bytes]] = {
    "GIF": (0, b"GIF8"),
    "Photoshop": (0, b"8BPS"),
    "JPEG 2000": (4, b"jP  "),
    "JPEG 2000 codestream": (0, b"\xff\x4f\xff\x51"),
    "HEIF or AVIF": (4, b"ftyp"),
    "DICOM": (128, b"DICM"),
    "PDF": (0, b"%PDF"),
    "icon": (0, b"\x00\x00\x01\x00"),
    "BigTIFF": (0, b"II+\x00"),
    "BigTIFF, big-endian": (0, b"MM\x00+"),
    "JPEG XL": (0, b"\x00\x00\x00\x0cJXL "),
    "SVG": (0, b"<svg"),
}
"""Images that we know and do not decode: offset and signature."""


@dataclass(frozen=True)
class Decoded:
    """Pixels (size, size, 3) uint8 RGB, and the width and height in px that the source shows upright."""

    pixels: NDArray[np.uint8]
    width: int
    height: int


def decode(data: bytes, size: int, mode: DecodeMode = "fast") -> Decoded:
    """Decode one file's bytes and resize to `size` x `size` px; the aspect ratio is not kept, as in the thesis.

    Raises:
        ImageRejected: with the reason for the quarantine table, whatever the bytes are.
    """
    kind = identify(data)
    try:
        if mode == "fast" and kind == "JPEG" and jpeg.is_plain(data):
            decoded = _decode_plain_jpeg(data, size)
            if decoded is not None:
                return decoded
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and TIFF tags, which are not used
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(data, kind, size, mode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected(Reason.TOO_LARGE, f"more than {MAX_PIXELS:,} pixels: {error}") from error
    except UnidentifiedImageError as error:
        reason = Reason.TRUNCATED if ends_early(data, kind) else Reason.DECODE_ERROR
        raise ImageRejected(reason, f"{kind} header that cannot be read") from error
    except ImageRejected:
        raise
    except MemoryError as error:
        raise ImageRejected(Reason.TOO_LARGE, "decoding it takes more memory than the worker has") from error
    except Exception as error:  # a hostile file may raise anything (struct.error, SyntaxError, ...)
        raise ImageRejected(_reason(error, kind, data), f"{type(error).__name__}: {error}"[:300]) from error


def identify(data: bytes) -> str:
    """The format, by content: one of FORMATS. Raises ImageRejected for anything else."""
    if not data:
        raise ImageRejected(Reason.EMPTY, "0 bytes")
    if len(data) > MAX_OBJECT_BYTES:
        raise ImageRejected(Reason.TOO_LARGE, f"more than {MAX_OBJECT_BYTES} bytes")
    for name, beginnings in FORMATS.items():
        if data.startswith(beginnings) and (name != "WEBP" or data[8:12] == b"WEBP"):
            # Two letters begin much that is no bitmap: one has a header of a known size behind them.
            if name == "BMP" and len(data) >= 18 and data[14:18] not in BMP_HEADERS:
                break
            return name
    for name, (offset, signature) in OTHER_FORMATS.items():
        if data[offset : offset + len(signature)] == signature:
            raise ImageRejected(Reason.UNSUPPORTED_FORMAT, f"{name}: only {', '.join(FORMATS)} are decoded")
    starts = [beginning for several in FORMATS.values() for beginning in several]
    cut_webp = data.startswith(b"RIFF") and b"WEBP".startswith(data[8:12])
    if cut_webp or any(start.startswith(data) for start in starts):
        raise ImageRejected(Reason.TRUNCATED, f"{len(data)} bytes: the beginning of an image, no more")
    # No more of it than that: it may be a letter, and begin with a patient's name.
    raise ImageRejected(Reason.NOT_AN_IMAGE, f"begins with {data[:4]!r}")


def _reason(error: Exception, kind: str, data: bytes) -> Reason:
    """Pillow says that bytes were missing in a dozen ways, of WebP in none; all the rest is a decode error."""
    if ends_early(data, kind):
        return Reason.TRUNCATED
    text = str(error).lower()
    missing = (
        "truncated",
        "not enough",
        "unexpected end",
        "premature",
        "eof",
        "ended",
        "incomplete",
        "too short",
    )
    return Reason.TRUNCATED if any(word in text for word in missing) else Reason.DECODE_ERROR


def _decode(data: bytes, kind: str, size: int, mode: DecodeMode) -> Decoded:
    with Image.open(io.BytesIO(data), formats=(kind,)) as image:  # reads the header alone
        _check_pixels(*image.size)
        if isinstance(image, TiffImageFile):
            _check_tiff(image)
        if kind == "PNG":
            check_png(data, *image.size)
            if image.mode == "P" and image.palette is None:
                raise ImageRejected(Reason.DECODE_ERROR, "a palette that is missing")
        if kind != "JPEG":
            image.load()  # which getexif() of a PNG does too, and its failure is no matter of EXIF
        orientation = _orientation(image)
        # Pillow names the size of a turned TIFF upright, that of all others as stored.
        turned = kind != "TIFF" and orientation in (5, 6, 7, 8)
        width, height = reversed(image.size) if turned else image.size
        small = None
        if kind == "JPEG":
            jpeg.check_scans(data)
            if mode == "fast" and image.mode == "RGB":
                small = jpeg.decode_scaled(data, *image.size, 2 * size)
        if small is None:
            if kind == "JPEG":
                jpeg.check_whole(data, image.mode)
                image.load()
            if kind == "TIFF":
                orientation = 1  # which Pillow has turned already
            rgb = to_rgb(image)
        else:
            rgb = Image.fromarray(small)
        if orientation in UPRIGHT:
            rgb = rgb.transpose(UPRIGHT[orientation])
        pixels = np.asarray(rgb.resize((size, size)) if mode == "exact" else resize(np.asarray(rgb), size))
        return Decoded(pixels, width, height)


UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a stored image upright, by its EXIF orientation."""


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 where EXIF is absurd: no reason to lose an image, nor to quote from it."""
    try:
        found = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:
        return 1
    return int(found) if found in UPRIGHT else 1


def _check_tiff(image: TiffImageFile) -> None:
    """Refuse tiles that unpack to more than an image may have, and strips that are not there."""
    edges = [image.tag_v2.get(tag, 0) for tag in (322, 323)]
    if all(isinstance(edge, int) for edge in edges) and edges[0] * edges[1] > MAX_PIXELS:
        raise ImageRejected(Reason.TOO_LARGE, f"tiles of more than {MAX_PIXELS:,} pixels")
    boxes = [tile.extents for tile in image.tile if tile.extents is not None]
    covered = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    if covered < image.size[0] * image.size[1]:
        raise ImageRejected(Reason.TRUNCATED, "strips are missing")


def _check_pixels(width: int, height: int) -> None:
    """Refuse by the header alone, before pixels take memory."""
    if width * height > MAX_PIXELS:
        raise ImageRejected(Reason.TOO_LARGE, f"more than {MAX_PIXELS:,} pixels: {width} x {height} px")


def _decode_plain_jpeg(data: bytes, size: int) -> Decoded | None:
    """A plain JPEG without Pillow (40 us an image); None where Pillow shall judge."""
    shape = jpeg.shape_of(data)
    if shape is None:
        return None
    width, height = shape
    _check_pixels(width, height)
    small = jpeg.decode_scaled(data, width, height, 2 * size)
    return None if small is None else Decoded(resize(small, size), width, height)


BICUBIC = ResizeOptions(resize_alg=ResizeAlg.convolution(FilterType.catmull_rom))


def resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Pixels uint8 (h, w, 3) to (size, size, 3), bicubic and anti-aliased.

    Pillow's bicubic filter (Catmull-Rom, a = -0.5) in AVX2 code: 225x169 to 64x64 takes 55 us against 242.
    It rounds where a pixel's support ends otherwise: on photographs most pixels are equal, none differs by
    more than 5 of 255. Images smaller than the target, which it enlarges less alike, are left to Pillow.
    """
    height, width, _ = pixels.shape
    if min(height, width) < size:
        return np.asarray(Image.fromarray(pixels).resize((size, size)))
    target = ImageData(size, size, PixelType.U8x3)
    source = ImageData(width, height, PixelType.U8x3, pixels.tobytes())
    Resizer().resize(source, target, BICUBIC)  # a resizer of its own: one may not serve two threads at once
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(size, size, 3)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode as RGB, as the module says."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0, posinf=255, neginf=0)
        largest = values.max(initial=0)
        scale = 256.0 if largest > 255 else 1.0  # signed 16-bit TIFFs open as 32-bit "I"
        if image.mode == "F" and largest <= 1:  # floats from black to white, as science keeps them
            scale = 1 / 255
        return Image.fromarray(np.clip(values / scale, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB")
