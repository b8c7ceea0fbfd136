"""Open photographs in DICOM files: the only user of pydicom, whose decoders unpack what Pillow cannot.

Pixels alone leave the file. Nothing else of it is read but what says how the pixels are stored
(`dicom_elements.py`), and no error quotes a text of the file. The extra `dicom` brings pydicom and the codecs
of pylibjpeg.

DICOM says nothing of which way up a photograph is: the pixels are upright as stored. The EXIF orientation of a
JPEG in a DICOM does not count, as in every viewer.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skinml.errors import ImageRejected, Reason
from skinml.images.budget import check_bytes, check_pixels, refuse_count, resizing_bytes
from skinml.images.dicom_elements import Elements, name, read_elements
from skinml.images.dicom_frame import as_photograph, is_photograph, shape_of
from skinml.storage.suffixes import dicom_installed

SOP_CLASS, SAMPLES, PHOTOMETRIC, PLANAR, FRAMES = 0x00080016, 0x00280002, 0x00280004, 0x00280006, 0x00280008
ROWS, COLUMNS, ALLOCATED, STORED, SIGNED = 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280103
CENTRE, WIDTH, PROFILE = 0x00281050, 0x00281051, 0x00282000
DESCRIPTORS, PALETTES = (0x00281101, 0x00281102, 0x00281103), (0x00281201, 0x00281202, 0x00281203)

WANTED = frozenset(
    {SOP_CLASS, SAMPLES, PHOTOMETRIC, PLANAR, FRAMES, ROWS, COLUMNS, ALLOCATED, STORED, SIGNED}
    | {CENTRE, WIDTH, PROFILE, *DESCRIPTORS, *PALETTES}
)

STORAGE = "1.2.840.10008.5.1.4.1.1."
PHOTOGRAPHS = (f"{STORAGE}77.1.", f"{STORAGE}7", "")
"""Kinds of objects that are read: visible light (dermoscopy, photography, endoscopy), secondary capture (what
software exports), and none at all. A computed tomogram is not a lesion, however well it can be decoded."""

NOT_STILL = (f"{STORAGE}77.1.6", "77.1.1.1", "77.1.2.1", "77.1.4.1")
"""Whole slides of pathology, and videos."""

COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
GREYS = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"

RUN_LENGTHS = "1.2.840.10008.1.2.5"
MAX_PACKED_BYTES = 16_000_000
"""Limit of run lengths, which pydicom unpacks in Python: at worst 0.2 us a byte."""

NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
INSTALL = "pip install 'skinml[dicom]' on every machine that decodes"


@dataclass(frozen=True)
class Photograph:
    """What is decoded of a DICOM file.

    Attributes:
        jpeg: a JPEG file, for the decoder of JPEGs; empty if the pixels are in `image`.
        image: a loaded image of mode L, RGB or YCbCr.
        profile: the bytes of its colour profile, if it has one.
        inverted: whether white is stored as 0.
    """

    jpeg: bytes = b""
    image: Image.Image | None = None
    profile: bytes | None = None
    inverted: bool = False


def open_dicom(data: bytes, size: int) -> Photograph:
    """Open the photograph in a DICOM file.

    Args:
        data: the bytes of the file.
        size: edge of the resized image in px.

    Raises:
        ImageRejected: the file is no single photograph, is broken or truncated, takes too much memory, or the
            extra `dicom` is not installed.
    """
    if not dicom_installed():
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, f"DICOM: {INSTALL}")
    found = read_elements(data, WANTED)
    _check_kind(found)
    width, height = found.number(COLUMNS), found.number(ROWS)
    if not width or not height:
        raise ImageRejected(Reason.DECODE_ERROR, f"the DICOM has {width} x {height} px")
    photometric, samples = found.text(PHOTOMETRIC), found.number(SAMPLES, 1)
    colour = photometric in COLOURS
    if not (colour or photometric in (*GREYS, PALETTE)) or samples != (3 if colour else 1):
        known = ", ".join((*COLOURS, *GREYS, PALETTE))
        raise ImageRejected(
            Reason.UNSUPPORTED_FORMAT,
            f"DICOM of {samples} samples a pixel in a photometric interpretation that is not one of {known}, "
            "or does not fit",
        )
    if found.pixels is None:
        raise ImageRejected(Reason.TRUNCATED, "the DICOM has no pixels, or ends before them")
    profile, inverted = found.values.get(PROFILE), photometric == "MONOCHROME1"
    native = found.transfer_syntax in NATIVE
    if native == found.encapsulated:
        raise ImageRejected(Reason.DECODE_ERROR, "the pixels do not lie as the DICOM's transfer syntax says")
    frame = b"" if native else _frame(found)
    if not native and is_photograph(frame) and photometric != PALETTE:
        return Photograph(as_photograph(frame, photometric == "RGB", profile), None, profile, inverted)
    check_pixels(width, height)
    _check_frame(found, frame, width, height)
    each = samples * max(1, -(-found.number(ALLOCATED, 8) // 8))
    # Two copies of the samples and Pillow's four bytes a pixel; a codec has a third, and four bytes a sample.
    # Measured at 4,500 x 4,500 px: 7 bytes a pixel for plain RGB, 6 for grey of 16 bits, 21 for JPEG 2000, of
    # 10, 8 and 25 expected.
    needed = width * height * (4 + (2 * each if native else 3 * each + 4 * samples))
    check_bytes(needed + resizing_bytes(width, height, size), f"{width} x {height} px, DICOM")
    pixels, photometric = _decoded(found, photometric, samples, width, height)
    return Photograph(b"", _image(found, pixels, photometric), profile, inverted)


def _check_kind(found: Elements) -> None:
    """Refuse what is no single photograph. UIDs are digits and dots, so nothing of a patient is said."""
    kind = found.text(SOP_CLASS)
    if kind.startswith(STORAGE) and (
        not kind.startswith(PHOTOGRAPHS[:2]) or kind.startswith(NOT_STILL[0]) or kind.endswith(NOT_STILL[1:])
    ):
        raise ImageRejected(
            Reason.UNSUPPORTED_FORMAT,
            f"DICOM of SOP class {_uid(kind)}: only photographs (visible light, dermoscopy, secondary capture) "
            "are read",
        )
    frames = found.text(FRAMES)
    if frames.isdecimal() and int(frames[:9]) > 1:
        raise ImageRejected(
            Reason.UNSUPPORTED_FORMAT,
            f"DICOM of {int(frames[:9]):,} frames: a file must hold one image; save the frames as files",
        )


def _uid(text: str) -> str:
    return text if re.fullmatch(r"[0-9.]{1,64}", text) else "that is not valid"


def _frame(found: Elements) -> bytes:
    """Return the fragments of the one frame, joined, after the table of offsets."""
    assert found.pixels is not None  # noqa: S101 - for mypy: the caller has looked
    from pydicom.encaps import generate_fragments

    position, end = found.pixels
    fragments = list(generate_fragments(memoryview(found.body)[position:end].tobytes()))
    if len(fragments) < 2:
        raise ImageRejected(Reason.TRUNCATED, "the DICOM ends before its pixels do")
    return b"".join(fragments[1:])


def _check_frame(found: Elements, frame: bytes, width: int, height: int) -> None:
    """Refuse missing pixels, and a codestream of another size, which a decoder would allocate."""
    start, end = found.pixels or (0, 0)
    if not found.encapsulated:
        bits = width * height * found.number(SAMPLES, 1) * found.number(ALLOCATED, 8)
        if found.text(PHOTOMETRIC) == "YBR_FULL_422":
            bits = bits * 2 // 3
        if end > len(found.body) or end - start < bits // 8:
            raise ImageRejected(Reason.TRUNCATED, "the DICOM ends before its pixels do")
        return
    if found.transfer_syntax == RUN_LENGTHS:
        if len(frame) > MAX_PACKED_BYTES:
            refuse_count(f"{len(frame):,} bytes of run lengths in a DICOM", MAX_PACKED_BYTES)
        return
    shape = shape_of(frame)
    if shape != (width, height):
        words = "is unknown" if shape is None else f"has {shape[0]} x {shape[1]} px"
        raise ImageRejected(Reason.DECODE_ERROR, f"the DICOM has {width} x {height} px, its codestream {words}")


def _decoded(
    found: Elements, photometric: str, samples: int, width: int, height: int
) -> tuple[NDArray[Any], str]:
    """Return samples (h, w) or (h, w, 3) as stored, and their photometric interpretation after decoding."""
    decoder = _decoder(found.transfer_syntax)
    start, end = found.pixels or (0, 0)
    allocated = found.number(ALLOCATED, 8)
    try:
        pixels, about = decoder.as_array(
            bytes(memoryview(found.body)[start:end]),
            raw=True,
            rows=height,
            columns=width,
            number_of_frames=1,
            samples_per_pixel=samples,
            photometric_interpretation=photometric,
            planar_configuration=found.number(PLANAR, 0),
            bits_allocated=allocated,
            bits_stored=min(found.number(STORED, allocated), allocated),
            pixel_representation=found.number(SIGNED, 0),
            pixel_keyword="PixelData",
            pixel_vr="OB" if found.pixel_vr == "OB" else "OW",
        )
    except MemoryError:
        raise
    except Exception as error:  # its text may quote the file
        raise ImageRejected(
            Reason.DECODE_ERROR,
            f"the pixels of the DICOM cannot be decoded (transfer syntax {_uid(found.transfer_syntax)}): "
            f"{type(error).__name__}",
        ) from None
    if pixels.shape[:2] != (height, width):
        raise ImageRejected(Reason.DECODE_ERROR, f"the DICOM's pixels have the shape {pixels.shape}")
    return pixels, str(about["photometric_interpretation"])


def _decoder(transfer_syntax: str) -> Any:
    """Return pydicom's decoder. Its log is not ours: it quotes values."""
    logging.getLogger("pydicom").disabled = True
    logging.getLogger("pydicom.pixels").disabled = True

    from pydicom.pixels.decoders.base import get_decoder

    try:
        decoder = get_decoder(transfer_syntax)
    except Exception:
        decoder = None
    if decoder is None or not decoder.is_available:
        raise ImageRejected(
            Reason.UNSUPPORTED_FORMAT, f"DICOM of transfer syntax {_uid(transfer_syntax)}: there is no decoder"
        )
    return decoder


def _image(found: Elements, pixels: NDArray[Any], photometric: str) -> Image.Image:
    """Return the samples as an image of eight bits."""
    if photometric == PALETTE:
        return Image.fromarray(_looked_up(found, pixels))
    bits = min(found.number(STORED, 8), 8 * pixels.itemsize)
    if pixels.ndim == 2 and CENTRE in found.values and WIDTH in found.values:
        return Image.fromarray(_windowed(found, pixels))
    if found.number(SIGNED, 0):
        pixels = pixels.astype(np.int64) + (1 << (bits - 1))
    if bits > 8:
        pixels = np.clip(pixels >> (bits - 8), 0, 255).astype(np.uint8)
    elif bits < 8:
        pixels = (pixels.astype(np.uint16) * 255 // ((1 << bits) - 1)).clip(0, 255).astype(np.uint8)
    else:
        pixels = pixels.astype(np.uint8, copy=False)
    if pixels.ndim == 2:
        return Image.fromarray(pixels)
    mode = "YCbCr" if photometric.startswith("YBR_FULL") else "RGB"
    height, width, _ = pixels.shape
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels))


def _windowed(found: Elements, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return grey from black to white over the first window: the linear function of PS3.3 C.11.2.1.2."""
    try:
        centre, width = float(found.text(CENTRE)), float(found.text(WIDTH))
    except ValueError:
        raise ImageRejected(Reason.DECODE_ERROR, "the DICOM's window is not a number") from None
    if not (np.isfinite(centre) and 1 <= width < np.inf):
        raise ImageRejected(Reason.DECODE_ERROR, f"the DICOM's window has the width {width:g}")
    values = pixels.astype(np.float32)
    values -= np.float32(centre - 0.5)
    values /= np.float32(max(width - 1, 1e-6))
    values += np.float32(0.5)
    return (np.clip(values, 0, 1, out=values) * 255).astype(np.uint8)


def _looked_up(found: Elements, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return RGB of a palette: (h, w, 3). Palettes in segments are not read."""
    channels = []
    for descriptor, palette in zip(DESCRIPTORS, PALETTES, strict=True):
        if descriptor not in found.values or palette not in found.values:
            raise ImageRejected(
                Reason.UNSUPPORTED_FORMAT, f"DICOM with a palette without the element {name(palette)}"
            )
        entries, first, bits = np.frombuffer(found.values[descriptor][:6], f"{found.order}u2").tolist()
        data, entries = found.values[palette], entries or 2**16
        wide = len(data) >= 2 * entries
        table = np.frombuffer(data, f"{found.order}u2" if wide else "u1", count=min(entries, len(data)))
        if wide and bits > 8:
            table = table >> 8
        places = np.clip(pixels.astype(np.int32) - first, 0, len(table) - 1)
        channels.append(table.astype(np.uint8)[places])
    return np.stack(channels, axis=-1)
