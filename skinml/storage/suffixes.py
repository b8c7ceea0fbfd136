"""The suffixes by which images are listed, and those of images that are passed over."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

DICOM = ".dcm"
"""Listed if the extra `dicom` is installed on the machine that lists."""

ALWAYS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg"),
    *(".png", ".webp", ".tif", ".tiff", ".bmp"),
)

IMAGE_SUFFIXES = (*ALWAYS, DICOM)
"""Suffixes of images that can be read, in any case."""

OTHER_IMAGE_SUFFIXES = (
    *(".heic", ".heif", ".hif", ".avif", ".gif", ".jxl"),
    *(".jp2", ".j2k", ".jpf", ".jpx"),
    *(DICOM, ".dicom"),
    *(".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2"),
    ".psd",
)
"""Suffixes of image formats that skinml does not read: phones, medical devices, cameras' raw formats."""

DICOM_MODULES = ("pydicom", "pylibjpeg", "libjpeg", "openjpeg")
"""Modules of the extra `dicom`."""


@cache
def dicom_installed() -> bool:
    """Whether the extra `dicom` is installed."""
    return all(find_spec(name) is not None for name in DICOM_MODULES)


def listed_suffixes() -> tuple[str, ...]:
    """Return the suffixes of images that are listed here."""
    return IMAGE_SUFFIXES if dicom_installed() else ALWAYS
