"""Detect embedded colour profiles other than sRGB, and convert pixels to sRGB.

The same lesion in Adobe RGB or Display P3 (which every iPhone writes) differs by 6 to 8 levels from sRGB. The
conversion comes after resizing: 12 thousand pixels instead of millions. Resizing first gives the same within
one level, because both spaces have a gamma of about 2.2. Only hard edges between saturated colours differ,
which skin does not have.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

MAX_PROFILE_BYTES = 4 * 2**20
"""Profiles of printing presses have 0.5 to 2.5 MB, those of cameras and screens 0.5 to 4 kB."""

MAX_FLOAT_TABLE = 2**16
"""Bytes of a table of floating-point stages (tags D2B0 to D2B3), which may be thousands deep: lcms puts up to
280,000 colours through all of them when it prepares a conversion."""

MAX_TAGS = 200

DEVICES = (b"mntr", b"scnr", b"spac", b"prtr")
"""Classes of profiles that describe an image's colours; not device links or named colours."""

MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
"""Pillow's mode by the colour space of a profile."""

GREYS = ("1", "L", "LA", "La", "I", "F")
"""Modes with one channel, besides those of 16 bits."""

SAME = 3
"""A profile counts as sRGB if it differs by at most this many of 255 levels: rounding in different sRGB
profiles. Adobe RGB differs by 60, Display P3 by 40."""

LEVELS = np.linspace(0, 255, 9).astype(np.uint8)
PROBE = np.stack(np.meshgrid(LEVELS, LEVELS, LEVELS), axis=-1).reshape(27, 27, 3)
"""729 colours by which a profile is compared with sRGB, (27, 27, 3)."""


@dataclass(frozen=True)
class Conversion:
    """The conversion from one profile to sRGB.

    Attributes:
        mode: the mode of its input: RGB, L or CMYK.
        transform: the transform of Pillow's ImageCms; None if the profile cannot be used.
    """

    mode: str
    transform: ImageCmsTransform | None

    def convert(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Convert RGB pixels uint8 (h, w, 3), in the profile's space with grey repeated, to sRGB."""
        return self.convert_image(Image.fromarray(pixels[..., 0] if self.mode == "L" else pixels), pixels)

    def convert_image(self, image: Image.Image, otherwise: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Convert an image of the conversion's mode to sRGB pixels; `otherwise` if the profile is unusable."""
        if self.transform is None:
            return otherwise
        converted = self.transform.apply(image)
        return np.asarray(converted)


def conversion_for(profile: bytes | None, mode: str) -> Conversion | None:
    """Return the conversion to sRGB for an image with this profile; None if it is sRGB or there is no profile.

    UNUSABLE is returned for a profile that is broken, too large, or of another colour space than the image: the
    image is flagged, and its pixels are not changed.

    Args:
        profile: the embedded bytes; None if there is no profile.
        mode: Pillow's mode of the image.
    """
    if profile is None:
        return None
    if not 128 <= len(profile) <= MAX_PROFILE_BYTES:
        return UNUSABLE
    # Some writers pad the block that holds the profile; lcms ignores what follows its end, too.
    found = _conversion(profile[: max(128, int.from_bytes(profile[:4], "big"))])
    if found is None or found.transform is None:
        return found
    grey = mode in GREYS or mode.startswith("I;16")
    fits = {"RGB": mode != "CMYK", "L": grey, "CMYK": mode == "CMYK"}[found.mode]
    return found if fits else UNUSABLE


UNUSABLE = Conversion("RGB", None)


@lru_cache(maxsize=8)
def _conversion(profile: bytes) -> Conversion | None:
    """Read a profile once: an archive has a handful, of a few kB each."""
    mode = MODES.get(profile[16:20])
    if mode is None or not _sound(profile):
        return UNUSABLE
    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
        if mode == "CMYK":
            return Conversion(mode, transform)
        probe = PROBE if mode == "RGB" else np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
        found = Conversion(mode, transform).convert(probe)
    except Exception:  # lcms says what is wrong in words of its own, and an old Pillow may lack it
        return UNUSABLE
    difference = np.abs(found.astype(np.int16) - probe).max()
    return None if difference <= SAME else Conversion(mode, transform)


def _sound(profile: bytes) -> bool:
    """Whether header and tag table are consistent, and no tag costs too much."""
    size, tags = (int.from_bytes(profile[at : at + 4], "big") for at in (0, 128))
    if size != len(profile) or profile[12:16] not in DEVICES or profile[36:40] != b"acsp" or tags > MAX_TAGS:
        return False
    if len(profile) < 132 + 12 * tags:
        return False
    for name, start, length in struct.iter_unpack(">4sII", profile[132 : 132 + 12 * tags]):
        if start + length > len(profile) or (name.startswith(b"D2B") and length > MAX_FLOAT_TABLE):
            return False
    return True
