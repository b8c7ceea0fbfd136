"""Name the files in the folders of the diagnoses: by image_id, and each name once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

SUFFIXES = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".pjpeg": ".jpg", ".tif": ".tiff"}
"""Suffixes that mean the same. Keras reads .jpg and passes over .jfif."""

PATIENT_SUFFIXES = (".dcm", ".dicom")
"""DICOM files can name the patient. They are not passed on."""

READ_BY_KERAS = (".bmp", ".jpg", ".png")
"""What `keras.utils.image_dataset_from_directory` reads of the formats that skinml prepares."""

LONGEST = 200
"""Bytes of a name before its suffix. File systems allow 255, and a temporary file has a longer name."""


def suffix_of(uri: str) -> str:
    """Return the suffix of a uri in lower case, the same for all that mean the same; "" if there is none.

    Example:
        >>> suffix_of("s3://clinic/2026/A.JPEG"), suffix_of("file:///a/b.d/scan")
        ('.jpg', '')
    """
    stem, dot, suffix = uri.rsplit("/", 1)[-1].rpartition(".")
    found = f".{suffix.lower()}" if dot and stem else ""
    return SUFFIXES.get(found, found)


def may_name_a_patient(uri: str) -> bool:
    """Whether a file is of a format that can hold a patient's name beside the pixels."""
    return suffix_of(uri) in PATIENT_SUFFIXES


def file_names(image_ids: Iterable[str], uris: Iterable[str]) -> list[str]:
    """Return the file name of each image, all of them different, also if a disk ignores case.

    A name is the image_id and the suffix. Images that share an image_id all get the first eight hexadecimal
    digits of the SHA-256 of their uri in addition, so that names do not depend on the order of the images.

    Args:
        image_ids: of n images.
        uris: of the same images, all different.

    Example:
        >>> file_names(["a", "b", "b"], ["s3://x/a.JPG", "s3://x/b.png", "s3://y/b.png"])
        ['a.jpg', 'b~86b2a328.png', 'b~4113c419.png']
    """
    stems = [_shortened(image_id) for image_id in image_ids]
    images_of = Counter(stem.casefold() for stem in stems)
    names = []
    for stem, uri in zip(stems, uris, strict=True):
        mark = f"~{sha256(uri.encode()).hexdigest()[:8]}" if images_of[stem.casefold()] > 1 else ""
        names.append(f"{stem}{mark}{suffix_of(uri)}")
    return names


def _shortened(image_id: str) -> str:
    """The image_id without characters that are not for names of files, cut to LONGEST bytes."""
    plain = "".join(letter if letter.isprintable() and letter != "/" else "_" for letter in image_id)
    plain = f"_{plain[1:]}" if plain.startswith((".", "-", "~")) else plain or "_"
    return plain.encode()[:LONGEST].decode("utf-8", "ignore")
