"""Name the files in the folders of the diagnoses: by image_id, and each name once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pandas as pd

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


def file_names(image_ids: Sequence[str], uris: Sequence[str]) -> pd.Series[str]:
    """Return the file name of each image, all of them different, also if a disk ignores case.

    A name is the image_id and the suffix. Images that share an image_id all get the first eight hexadecimal
    digits of the SHA-256 of their uri in addition, so that names do not depend on the order of the images.

    Args:
        image_ids: of n images.
        uris: of the same images, all different.

    Example:
        >>> file_names(["a", "b", "b"], ["s3://x/a.JPG", "s3://x/b.png", "s3://y/b.png"]).tolist()
        ['a.jpg', 'b~e9b63e1b.png', 'b~4e2ff1cc.png']
    """
    frame = pd.DataFrame({"image_id": pd.Series(image_ids, dtype="str"), "uri": pd.Series(uris, dtype="str")})
    stems = [_shortened(image_id) for image_id in frame["image_id"]]
    shared = pd.Series([stem.casefold() for stem in stems], dtype="str").duplicated(keep=False)
    return pd.Series(
        [
            f"{stem}~{hashlib.sha256(uri.encode()).hexdigest()[:8]}{suffix_of(uri)}"
            if several
            else f"{stem}{suffix_of(uri)}"
            for stem, uri, several in zip(stems, frame["uri"], shared, strict=True)
        ],
        dtype="str",
    )


def _shortened(image_id: str) -> str:
    """The image_id without characters that are not for names of files, cut to LONGEST bytes."""
    plain = "".join(letter if letter.isprintable() and letter != "/" else "_" for letter in image_id)
    plain = f"_{plain[1:]}" if plain.startswith((".", "-", "~")) else plain or "_"
    return plain.encode()[:LONGEST].decode("utf-8", "ignore")
