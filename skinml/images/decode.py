"""Bytes of an image file to square RGB pixels, or the reason why not.

Two modes. `exact` is bit-equal to `np.asarray(Image.open(path).resize((size, size)))`, Pillow's full decode
and bicubic resize. `fast` lets libjpeg-turbo decode a JPEG at the smallest scale that is at least twice the
target, then resizes with the same bicubic filter in SIMD code; docs/benchmarks.md has what that costs in
fidelity. Other formats are decoded in full in both modes.

What anything becomes: RGB. Grey is repeated, palettes are looked up, transparency is laid over white, CMYK
is converted as Pillow does without profiles, 16 bits keep their upper 8. EXIF orientation is honoured; no
metadata goes any further (it can hold a patient's name or place).
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import simplejpeg
from cykooz_resizer import FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from skinml.errors import ImageRejected, Reason
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
        if mode == "fast" and kind == "JPEG" and not _may_be_turned(data):
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
        raise ImageRejected(Reason.DECODE_ERROR, f"{kind} header that cannot be read") from error
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
            return name
    for name, (offset, signature) in OTHER_FORMATS.items():
        if data[offset : offset + len(signature)] == signature:
            raise ImageRejected(Reason.UNSUPPORTED_FORMAT, f"{name}: only {', '.join(FORMATS)} are decoded")
    starts = [beginning for several in FORMATS.values() for beginning in several]
    cut_webp = data.startswith(b"RIFF") and b"WEBP".startswith(data[8:12])
    if cut_webp or any(start.startswith(data) for start in starts):
        raise ImageRejected(Reason.TRUNCATED, f"{len(data)} bytes: the beginning of an image, no more")
    raise ImageRejected(Reason.NOT_AN_IMAGE, f"begins with {data[:12]!r}")


def _reason(error: Exception, kind: str, data: bytes) -> Reason:
    """Pillow says that bytes were missing in a dozen ways, of WebP in none; all the rest is a decode error."""
    if kind == "WEBP" and len(data) < 8 + int.from_bytes(data[4:8], "little"):  # the length that RIFF states
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
        # Pillow names the size of a turned TIFF upright, that of all others as stored.
        turned = kind != "TIFF" and image.getexif().get(ORIENTATION_TAG, 1) in (5, 6, 7, 8)
        width, height = reversed(image.size) if turned else image.size
        small = None
        if mode == "fast" and kind == "JPEG" and image.mode == "RGB":
            small = _scaled_jpeg(data, *image.size, size)
        if small is None:
            image.load()
            rgb = to_rgb(ImageOps.exif_transpose(image))
        else:
            scaled = Image.fromarray(small)
            if ORIENTATION_TAG in image.getexif():
                scaled.getexif()[ORIENTATION_TAG] = image.getexif()[ORIENTATION_TAG]
            rgb = ImageOps.exif_transpose(scaled)
        pixels = np.asarray(rgb.resize((size, size)) if mode == "exact" else resize(np.asarray(rgb), size))
        return Decoded(pixels, width, height)


def _check_pixels(width: int, height: int) -> None:
    """Refuse by the header alone, before pixels take memory."""
    if width * height > MAX_PIXELS:
        raise ImageRejected(Reason.TOO_LARGE, f"more than {MAX_PIXELS:,} pixels: {width} x {height} px")


def _may_be_turned(data: bytes) -> bool:
    """Whether a JPEG has an APP1 segment (EXIF or XMP, which say its orientation), or a header gone wrong."""
    position = 2
    while data[position : position + 1] == b"\xff":
        marker = data[position + 1 : position + 2]
        if marker == b"\xda":  # start of scan: the header is over
            return False
        if marker == b"\xe1":
            return True
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return True


def _decode_plain_jpeg(data: bytes, size: int) -> Decoded | None:
    """A JPEG that lies as it was taken, without Pillow (40 us an image); None where Pillow shall judge."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    _check_pixels(width, height)
    small = _scaled_jpeg(data, width, height, size) if colours in ("YCbCr", "RGB") else None
    return None if small is None else Decoded(resize(small, size), width, height)


def _scaled_jpeg(data: bytes, width: int, height: int, size: int) -> NDArray[np.uint8] | None:
    """A JPEG decoded at 1/8, 1/4, 3/8 or 1/2 with both edges >= 2 x size, else in full; uint8 (h, w, 3).

    5/8, 6/8 and 7/8 are left out: they decode slower than the whole does (742 and 829 us against 531 at
    600x450) and, having no fast inverse DCT of their own, come out less like it (47 dB against 57 at 128 px).
    None where Pillow shall judge: libjpeg-turbo refuses more than Pillow does, such as stray bytes.
    """
    edge = 2 * size if min(width, height) >= 4 * size else 0
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB", min_height=edge, min_width=edge)
    except ValueError:
        return None
    return pixels


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
        values = np.asarray(image, dtype=np.float64)
        scale = 256.0 if values.max(initial=0) > 255 else 1.0  # signed 16-bit TIFFs open as 32-bit "I"
        return Image.fromarray(np.clip(values / scale, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB")
