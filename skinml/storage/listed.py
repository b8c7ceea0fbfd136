"""What a listing gives: image objects, and what else is there, counted by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from skinml.schemas import LISTING

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg"),
    *(".png", ".webp", ".tif", ".tiff", ".bmp"),
)
"""How the name of an image ends, in any case."""

OTHER_IMAGE_SUFFIXES = (
    *(".heic", ".heif", ".hif", ".avif", ".gif", ".jxl"),
    *(".jp2", ".j2k", ".jpf", ".jpx"),
    *(".dcm", ".dicom"),
    *(".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2"),
    ".psd",
)
"""How the names of images end that nobody here reads: phones, medical devices, cameras' raw formats."""

NO_SUFFIX = "no suffix"
"""In a folder: a file without a suffix whose first bytes are an image's. In a bucket: any such name."""

UNCHECKED = "no suffix, not looked at"
"""A file without a suffix, one too many for its first bytes to be read."""

HIDDEN = "hidden"
OTHER = "other"
WORKSPACE = "in the workspace"
"""Objects of a bucket; of a folder, whole trees, which are not walked."""

OTHER_WORKSPACE = "in another workspace"
"""Figures and reports of a workspace that is not this run's: of a folder, whole trees."""

_MADE_AT = r"\d{8}T\d{6}Z-[0-9a-f]{6}"
OF_A_WORKSPACE = rf"(^|/)(models/[^/]+/{_MADE_AT}|reports/[a-z]+-{_MADE_AT})(/|$)"
"""Where a workspace keeps images: below the folder of a model version and that of a run's report."""

LINK_OUT = "link out of the archive"
LINK_TO_LISTED = "link to a listed image"
LINK_TO_FOLDER = "link to a folder of the archive"
LINK_TO_HIDDEN_FOLDER = "link to a hidden folder"

UNREADABLE = "unreadable"
"""The etag of a folder that could not be listed: it is one row, whose reading says why."""

MISSING = "missing"
"""The etag of a file about which the system says nothing, such as a link to nothing."""

Row = tuple[str, str, int, int]
"""A row of LISTING: uri, etag, bytes, time of the last modification in µs."""


@dataclass(frozen=True)
class Listed:
    """A piece of a listing.

    Attributes:
        images: image objects, schema LISTING.
        passed_over: other objects by kind: a suffix of OTHER_IMAGE_SUFFIXES, or one of the kinds above.
    """

    images: pa.RecordBatch
    passed_over: Counter[str] = field(default_factory=Counter)

    @property
    def ignored(self) -> int:
        """How many objects were passed over."""
        return self.passed_over.total()


def piece(rows: Sequence[Row], passed_over: Counter[str]) -> Listed:
    """A piece of a listing from rows and counts."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, LISTING, strict=True)]
    return Listed(pa.RecordBatch.from_arrays(arrays, schema=LISTING), passed_over)


def suffix(name: str) -> str:
    """The suffix of a name in lower case. The last number of a DICOM identifier (1.2.840.10008) is none."""
    stem, dot, last = name.rpartition(".")
    return f".{last.lower()}" if stem and dot and last and not last.isdecimal() else ""


def kind_of(name: str) -> str:
    """What a name that is no image's says: a suffix of OTHER_IMAGE_SUFFIXES, NO_SUFFIX, or OTHER."""
    found = suffix(name)
    return found if found in OTHER_IMAGE_SUFFIXES else OTHER if found else NO_SUFFIX


def in_words(passed_over: Mapping[str, int]) -> str:
    """The counts in one line, the largest first: `3 .heic, 1 no suffix, 12 other`."""
    ordered = sorted(passed_over.items(), key=lambda item: (item[0] == OTHER, -item[1], item[0]))
    return ", ".join(f"{count} {kind}" for kind, count in ordered) or "nothing"


def warnings(passed_over: Mapping[str, int], remote: bool) -> list[str]:
    """What a person should know of what was passed over, each in one line: what, how many, what to do."""
    rename = "give them names that end in .jpg or the like"
    looked_at = f"without a suffix but with an image's first bytes: {rename}"
    unread = f"without a suffix, unread: if they are images, {rename}"
    words = {
        NO_SUFFIX: ("file", unread if remote else looked_at),
        OTHER_WORKSPACE: (
            "object" if remote else "folder",
            "of another skinml workspace: no images of lesions",
        ),
        UNCHECKED: ("further file", unread),
        LINK_OUT: ("link", "out of the archive: copy the files into it, or name their folder as an archive"),
        LINK_TO_HIDDEN_FOLDER: ("link", "to hidden folders: name such a folder as an archive"),
    }
    found = []
    formats = {kind: passed_over[kind] for kind in OTHER_IMAGE_SUFFIXES if passed_over.get(kind)}
    if formats:
        found.append(
            f"passed over {_several(sum(formats.values()), 'file')} in formats of images that are not read "
            f"({in_words(formats)}): convert them to JPEG, PNG or TIFF to have them used"
        )
    for kind, (noun, said) in words.items():
        if passed_over.get(kind):
            found.append(f"passed over {_several(passed_over[kind], noun)} {said}")
    return found


def _several(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
