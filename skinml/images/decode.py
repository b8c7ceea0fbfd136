"""Decode an image file to square RGB pixels, or reject it with a reason.

There are two modes. `exact` is bit-equal to `np.asarray(Image.open(path).resize((size, size)))`, Pillow's full
decode and bicubic resize. In `fast`, libjpeg-turbo decodes a JPEG at the smallest scale that is at least twice
the target, and SIMD code resizes it with the same bicubic filter; docs/benchmarks.md shows the loss of
fidelity. Other formats are decoded in full in both modes.

The result is always RGB. Grey is repeated, palettes are looked up, transparent pixels are blended with white,
CMYK is converted as Pillow does without profiles, 16 bits keep their upper 8, floats of 0 to 1 are stretched.
Pixels with a colour profile other than sRGB are converted to sRGB if `colour` is `srgb` (`colour.py`). EXIF
orientation is applied; all other metadata is dropped, because it may contain a patient's name or place.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from skinml.errors import ImageRejected, Reason
from skinml.images import bmp, jpeg, png, tiff, webp
from skinml.images.budget import MAX_PIXELS, MAX_SCALED_PIXELS, check_bytes, check_pixels, resizing_bytes
from skinml.images.choices import Aspect, Colour, DecodeMode
from skinml.images.colour import conversion_for
from skinml.images.dicom import open_dicom
from skinml.images.formats import DICOM, identify
from skinml.images.jpeg_header import Header, read_header, without_metadata
from skinml.images.resize import UPRIGHT, WHOLE_PIXELS, crop, resize, shrink, shrink_inks
from skinml.images.tiff import silence_libtiff
from skinml.images.whole import ends_early

ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Decoded:
    """Pixels uint8 RGB (size, size, 3), and width and height in px of the source after EXIF orientation.

    `colour_profile`: whether it has a colour profile other than sRGB, converted or not.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    colour_profile: bool = False


def decode(
    data: bytes, size: int, mode: DecodeMode = "fast", colour: Colour = "as_stored", aspect: Aspect = "stretch"
) -> Decoded:
    """Decode one file's bytes and resize to `size` x `size` px.

    Args:
        data: the bytes of the file.
        size: edge of the result in px.
        mode: `fast` or `exact`, as above.
        colour: `srgb` converts pixels with another colour profile to sRGB; `as_stored` does not.
        aspect: `stretch` uses the whole image and does not keep its aspect ratio, as in the thesis. `crop` uses
            the central square of the upright image. In mode `fast` it is the square of the decoded JPEG, which
            may be off centre by a quarter of a pixel of the result.

    Raises:
        ImageRejected: with the reason and detail for the quarantine. Nothing else, whatever the bytes are.

    Example:
        >>> image = Image.new("RGB", (60, 45), (200, 120, 100))
        >>> image.save(file := io.BytesIO(), "JPEG")
        >>> decoded = decode(file.getvalue(), size=32)
        >>> decoded.pixels.shape, decoded.pixels.dtype.name, decoded.width, decoded.height
        ((32, 32, 3), 'uint8', 60, 45)
        >>> decode(b"<!DOCTYPE html>", size=32)
        Traceback (most recent call last):
        skinml.errors.ImageRejected: (<Reason.NOT_AN_IMAGE: 'not_an_image'>, "begins with b'<!DO'")
    """
    kind = identify(data)
    try:
        if mode == "fast" and kind == "JPEG":
            profile = jpeg.plain_profile(data)
            decoded = None if profile is None else _decode_plain_jpeg(data, size, profile, colour, aspect)
            if decoded is not None:
                return decoded
        with warnings.catch_warnings():
            # Pillow warns about EXIF and TIFF tags, which are not used, and about sizes, which are checked
            # here.
            warnings.simplefilter("ignore")
            if kind == DICOM:
                return _decode_dicom(data, size, mode, colour, aspect)
            return _decode(data, kind, size, mode, colour, aspect)
    except Image.DecompressionBombError as error:
        raise ImageRejected(Reason.TOO_LARGE, f"more than {MAX_PIXELS:,} pixels: {error}") from error
    except UnidentifiedImageError as error:
        reason = Reason.TRUNCATED if ends_early(data, kind) else Reason.DECODE_ERROR
        raise ImageRejected(reason, f"the {kind} header cannot be read") from error
    except ImageRejected:
        raise
    except MemoryError as error:
        raise ImageRejected(Reason.TOO_LARGE, "decoding takes more memory than the worker has") from error
    except Exception as error:  # a hostile file may raise anything (struct.error, SyntaxError, ...)
        raise ImageRejected(_reason(error, kind, data), f"{type(error).__name__}: {error}"[:300]) from error


def _reason(error: Exception, kind: str, data: bytes) -> Reason:
    """Return the reason for Pillow's error: truncated if bytes are missing, otherwise a decode error."""
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


@dataclass(frozen=True)
class _Source:
    """A file for the decoders, without metadata that pixels do not depend on.

    Attributes:
        data: its bytes.
        kind: its format.
        size: edge of the resized image in px.
        header: the header of a JPEG.
        profile: the bytes of its colour profile, if they are known before Pillow opens the file.
        tag_bytes: the bytes of the tags of a TIFF.
    """

    data: bytes
    kind: str
    size: int
    header: Header | None = None
    profile: bytes | None = None
    tag_bytes: int = 0


def _decode(data: bytes, kind: str, size: int, mode: DecodeMode, colour: Colour, aspect: Aspect) -> Decoded:
    """Decode any file that is not a plain JPEG: check its cost by the header, then load its pixels."""
    source = _prepare(data, kind, size)
    with Image.open(io.BytesIO(source.data), formats=(kind,)) as image:  # reads the header alone
        scaled = kind == "JPEG" and mode == "fast" and image.mode == "RGB"
        _check_cost(image, source, scaled=scaled)
        profile = source.profile
        if profile is None and "icc_profile" in image.info:
            profile = image.info["icc_profile"] or b""
        if kind != "JPEG":
            image.load()  # before getexif(), which loads a PNG too: its errors are not about EXIF
        if kind == "WEBP":
            image.fp = None  # frees the frame from which the image was made: 4 bytes a pixel
        orientation = _orientation(image)
        # Pillow reports the size of a rotated TIFF after rotation, that of all other formats as stored.
        turned = kind != "TIFF" and orientation in (5, 6, 7, 8)
        width, height = reversed(image.size) if turned else image.size
        shown = _load_jpeg(image, source, scaled=scaled) if kind == "JPEG" else image
        if kind == "TIFF":
            orientation = 1  # Pillow has already rotated it
        pixels = shrink(shown, orientation, size, exact=mode == "exact", aspect=aspect)
        conversion = conversion_for(profile, image.mode)
        if conversion is not None and colour == "srgb":
            if conversion.mode == "CMYK":
                pixels = conversion.convert_image(shrink_inks(image, orientation, size, aspect), pixels)
            else:
                pixels = conversion.convert(pixels)
        return Decoded(pixels, width, height, conversion is not None)


def _decode_dicom(data: bytes, size: int, mode: DecodeMode, colour: Colour, aspect: Aspect) -> Decoded:
    """Decode the photograph in a DICOM file; a JPEG gives the same pixels as it does alone."""
    photograph = open_dicom(data, size)
    if photograph.image is None:
        decoded = decode(photograph.jpeg, size, mode, colour, aspect)
    else:
        image = photograph.image
        pixels = shrink(image, 1, size, exact=mode == "exact", aspect=aspect)
        conversion = conversion_for(photograph.profile, "L" if image.mode == "L" else "RGB")
        if conversion is not None and colour == "srgb":
            pixels = conversion.convert(pixels)
        decoded = Decoded(pixels, image.width, image.height, conversion is not None)
    return replace(decoded, pixels=255 - decoded.pixels) if photograph.inverted else decoded


def _prepare(data: bytes, kind: str, size: int) -> _Source:
    """Check a file's parts before Pillow, which reads all of them whatever they cost."""
    if kind == "JPEG":
        header = read_header(data)
        if header is None:
            raise UnidentifiedImageError
        data, header = without_metadata(data, header)
        return _Source(data, kind, size, header, header.profile)
    if kind == "PNG":
        data, profile = png.without_metadata(data)
        return _Source(data, kind, size, profile=profile)
    if kind == "WEBP":
        webp.check_cost(data, size)
    elif kind == "TIFF":
        silence_libtiff()
        return _Source(data, kind, size, tag_bytes=tiff.check_directory(data))
    return _Source(data, kind, size)


def _check_cost(image: Image.Image, source: _Source, *, scaled: bool) -> None:
    """Refuse an image that is too expensive, before its pixels take memory."""
    data, size = source.data, source.size
    check_pixels(*image.size, MAX_SCALED_PIXELS if scaled else MAX_PIXELS)
    if source.header is not None:
        jpeg.check_cost(data, source.header, image.mode, size, scaled=scaled)
    elif source.kind == "PNG":
        png.check_cost(image, data, size)
        png.check_whole(data, *image.size)
    elif source.kind == "BMP":
        bmp.check_cost(image, data, size)
    elif isinstance(image, TiffImageFile):
        tiff.check_cost(image, source.tag_bytes, size)


def _load_jpeg(image: Image.Image, source: _Source, *, scaled: bool) -> Image.Image:
    """Load a JPEG's pixels: at a reduced scale by libjpeg-turbo if possible and wanted, else by Pillow."""
    if scaled:
        small = jpeg.decode_scaled(source.data, *image.size, 2 * source.size)
        if small is not None:
            return Image.fromarray(small)
        _check_cost(image, source, scaled=False)
    jpeg.check_whole(source.data, image.mode)
    # In one piece: if libjpeg cannot stop in the middle, for example in 60 MB of fill bytes, Pillow would pass
    # it the same bytes and 64 KiB more again and again (27 CPU s).
    if isinstance(image, ImageFile):
        image.decodermaxblock = len(source.data)
    image.load()
    return image


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 if EXIF is not valid, which is no reason to reject the image."""
    try:
        found = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:
        return 1
    return int(found) if found in UPRIGHT else 1


def _decode_plain_jpeg(
    data: bytes, size: int, profile: bytes, colour: Colour, aspect: Aspect
) -> Decoded | None:
    """Decode a plain JPEG without Pillow, which saves 40 us an image; None if Pillow must decide."""
    shape = jpeg.shape_of(data)
    if shape is None:
        return None
    width, height = shape
    if width * height > WHOLE_PIXELS:  # a smaller image fits, whatever its shape
        check_pixels(width, height, MAX_SCALED_PIXELS)
        needed = jpeg.scaled_bytes(width, height, size) + resizing_bytes(width, height, size)
        check_bytes(needed, f"{width} x {height} px, JPEG")
    small = jpeg.decode_scaled(data, width, height, 2 * size)
    if small is None:
        return None
    pixels = resize(crop(small, aspect), size)
    conversion = conversion_for(profile, "RGB") if profile else None
    if conversion is not None and colour == "srgb":
        pixels = conversion.convert(pixels)
    return Decoded(pixels, width, height, conversion is not None)
