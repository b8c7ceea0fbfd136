"""Bytes of an image file to square RGB pixels, or the reason why not.

Two modes. `exact` is bit-equal to `np.asarray(Image.open(path).resize((size, size)))`, Pillow's full decode
and bicubic resize. `fast` lets libjpeg-turbo decode a JPEG at the smallest of its 1/8 steps that is at least
twice the target, then resizes the same way: on 600x450 files it agrees with `exact` to about 40 dB at 32 px.
Other formats are decoded in full in both modes.

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
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from skinml.errors import ImageRejected, Reason
from skinml.storage.objects import MAX_OBJECT_BYTES

DecodeMode = Literal["fast", "exact"]
RESIZE_FILTER = "bicubic"
"""Pillow's default for RGB, anti-aliased; part of the dataset key and of every model bundle."""

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
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageRejected(Reason.TOO_LARGE, f"more than {MAX_PIXELS:,} pixels: {width} x {height} px")
        # Pillow names the size of a turned TIFF upright, that of all others as stored.
        turned = kind != "TIFF" and image.getexif().get(ORIENTATION_TAG, 1) in (5, 6, 7, 8)
        upright = (height, width) if turned else (width, height)
        small = _scaled_jpeg(data, size) if mode == "fast" and kind == "JPEG" and image.mode == "RGB" else None
        if small is None:
            image.load()
            small = image
        elif ORIENTATION_TAG in image.getexif():
            small.getexif()[ORIENTATION_TAG] = image.getexif()[ORIENTATION_TAG]
        rgb = to_rgb(ImageOps.exif_transpose(small))
        return Decoded(np.asarray(rgb.resize((size, size))), *upright)


def _scaled_jpeg(data: bytes, size: int) -> Image.Image | None:
    """A JPEG decoded at the smallest 1/8 step with both edges >= 2 x size; None where Pillow shall judge."""
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=2 * size, min_width=2 * size)
    except ValueError:
        return None  # libjpeg-turbo refuses more than Pillow does (stray bytes), so its word is not the last
    return Image.fromarray(pixels)


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
