"""Embedded colour profiles: which ones differ from sRGB, and pixels converted to it.

The same lesion in Adobe RGB or Display P3 (which every iPhone writes) differs by 6 to 8 levels from its form in
sRGB. Converted are the pixels after they were resized: 12 thousand instead of millions. Resizing mixes
neighbours in either space, both of which have a curve of about 2.2, so it comes out the same within a level but
at hard edges between saturated colours, which skin does not have.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

Colour = Literal["as_stored", "srgb"]
"""What becomes of pixels that have a profile other than sRGB: nothing, or they are converted."""

MAX_PROFILE_BYTES = 4 * 2**20
"""Profiles of presses have 0.5 to 2.5 MB, of cameras and screens 0.5 to 4 kB."""

MAX_FLOAT_TABLE = 2**16
"""Bytes of a table of floating-point stages (tags D2B0 to D2B3), which may be thousands deep: lcms puts up to
280,000 colours through all of them when it prepares a conversion."""

MAX_TAGS = 200

DEVICES = (b"mntr", b"scnr", b"spac", b"prtr")
"""Classes of profiles that say what colours an image has; not links between devices, nor lists of names."""

MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
"""Pillow's mode of the pixels that a profile's colour space says."""

GREYS = ("1", "L", "LA", "La", "I", "F")
"""Modes of one channel, beside those of 16 bits."""

SAME = 3
"""Levels of 255 by which a profile may differ from sRGB and be taken for it: what writers of sRGB profiles
rounded differently. Adobe RGB differs by 60, Display P3 by 40."""

LEVELS = np.linspace(0, 255, 9).astype(np.uint8)
PROBE = np.stack(np.meshgrid(LEVELS, LEVELS, LEVELS), axis=-1).reshape(27, 27, 3)
"""729 colours by which a profile is compared with sRGB, (27, 27, 3)."""


@dataclass(frozen=True)
class Conversion:
    """How pixels of one profile become sRGB.

    Attributes:
        mode: of the pixels that it takes: RGB, L or CMYK.
        transform: of Pillow's ImageCms; None where the profile is of no use.
    """

    mode: str
    transform: ImageCmsTransform | None

    def convert(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB pixels uint8 (h, w, 3) in the profile's space, grey repeated, to sRGB."""
        return self.convert_image(Image.fromarray(pixels[..., 0] if self.mode == "L" else pixels), pixels)

    def convert_image(self, image: Image.Image, otherwise: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image of the conversion's mode to sRGB pixels; `otherwise` where the profile is of no use."""
        if self.transform is None:
            return otherwise
        converted = self.transform.apply(image)
        return np.asarray(converted)


def conversion_for(profile: bytes | None, mode: str) -> Conversion | None:
    """How an image with this profile becomes sRGB; None where it is sRGB already, as all without a profile are.

    A profile that is broken, of another colour space than the image, or larger than profiles are is UNUSABLE:
    it is to be flagged, and changes nothing.

    Args:
        profile: its bytes as they are embedded; None where there is none.
        mode: Pillow's mode of the image.
    """
    if profile is None:
        return None
    if not 128 <= len(profile) <= MAX_PROFILE_BYTES:
        return UNUSABLE
    # Some writers fill up the block that holds the profile; lcms leaves what comes behind its end, too.
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
    """Whether the header and the table of tags hold together, and no tag costs more than it may."""
    size, tags = (int.from_bytes(profile[at : at + 4], "big") for at in (0, 128))
    if size != len(profile) or profile[12:16] not in DEVICES or profile[36:40] != b"acsp" or tags > MAX_TAGS:
        return False
    if len(profile) < 132 + 12 * tags:
        return False
    for name, start, length in struct.iter_unpack(">4sII", profile[132 : 132 + 12 * tags]):
        if start + length > len(profile) or (name.startswith(b"D2B") and length > MAX_FLOAT_TABLE):
            return False
    return True
