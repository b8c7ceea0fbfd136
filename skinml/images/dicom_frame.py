"""Read the header of a compressed frame of a DICOM, and make a JPEG file of it that no decoder mistakes."""

from __future__ import annotations

from collections.abc import Iterator

BASELINE = (0xC0, 0xC1, 0xC2)
"""Frames that the decoder of JPEGs can decode, if a sample has eight bits."""

FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7)
"""Markers of a frame's header: JPEG of all kinds, and JPEG-LS."""

MOST_SEGMENTS = 1_000

PLAIN_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""The segment by which a JPEG says that its components are red, green and blue."""

CODESTREAM, BOXED = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"
"""The start of JPEG 2000, and of a file around it, which some writers put into a DICOM."""

PROFILE = b"ICC_PROFILE\0"
PROFILE_PIECE = 65_000


def _segments(frame: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, begin and end of each segment of a JPEG, before the first scan."""
    position = 2
    for _ in range(MOST_SEGMENTS):
        if position + 4 > len(frame) or frame[position] != 0xFF:
            return
        marker = frame[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        end = position + 2 + int.from_bytes(frame[position + 2 : position + 4], "big")
        yield marker, position, end
        if marker == 0xDA:
            return
        position = end


def is_photograph(frame: bytes) -> bool:
    """Whether a frame is a JPEG like those of cameras: eight bits a sample, lossy."""
    if not frame.startswith(b"\xff\xd8"):
        return False
    found = next(((marker, start) for marker, start, _ in _segments(frame) if marker in FRAMES), None)
    return found is not None and found[0] in BASELINE and frame[found[1] + 4 : found[1] + 5] == b"\x08"


def as_photograph(frame: bytes, is_rgb: bool, profile: bytes | None) -> bytes:
    """Return a frame as a JPEG file without metadata, in the colours that its DICOM names.

    Segments that may rotate it or hold texts (EXIF, XMP, comments) are left out.

    Args:
        frame: the JPEG in the DICOM.
        is_rgb: whether its components are red, green and blue. A JPEG that says what they are (Adobe's segment,
            or JFIF's, which means YCbCr) is believed: writers of DICOM are wrong more often than codecs.
        profile: the colour profile of the DICOM; None keeps that of the JPEG.
    """
    kept, says = [frame[:2]], False
    rest = len(frame)
    for marker, start, end in _segments(frame):
        rest = start
        if marker == 0xDA:
            break
        data = frame[start + 4 : end]
        is_profile = marker == 0xE2 and data.startswith(PROFILE)
        is_jfif = marker == 0xE0 and data.startswith(b"JFIF\0") and len(data) >= 14
        is_adobe = (
            marker == 0xEE and data.startswith(b"Adobe") and len(data) >= 12
        )  # libjpeg ignores shorter ones
        says = says or is_jfif or is_adobe
        if marker < 0xE0 or is_jfif or is_adobe or (is_profile and profile is None):
            kept.append(frame[start:end])
        rest = end
    if is_rgb and not says:
        kept.insert(1, PLAIN_RGB)
    if profile:
        pieces = [profile[at : at + PROFILE_PIECE] for at in range(0, len(profile), PROFILE_PIECE)][:255]
        kept += [_piece(number, len(pieces), piece) for number, piece in enumerate(pieces, 1)]
    return b"".join([*kept, frame[rest:]])


def _piece(number: int, pieces: int, data: bytes) -> bytes:
    inside = PROFILE + bytes((number, pieces)) + data
    return b"\xff\xe2" + (len(inside) + 2).to_bytes(2, "big") + inside


def shape_of(frame: bytes) -> tuple[int, int] | None:
    """Return width and height in px that a codestream declares (JPEG, JPEG-LS, JPEG 2000); None if unknown."""
    start = frame.find(CODESTREAM) if frame.startswith((CODESTREAM, BOXED)) else -1
    if start >= 0:
        right, lower, left, upper = (
            int.from_bytes(frame[start + at : start + at + 4], "big") for at in (8, 12, 16, 20)
        )
        return right - left, lower - upper
    if frame.startswith(b"\xff\xd8"):
        for marker, start, _ in _segments(frame):
            if marker in FRAMES:
                height, width = (int.from_bytes(frame[start + at : start + at + 2], "big") for at in (5, 7))
                return width, height
    return None
