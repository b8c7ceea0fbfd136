"""One piece of a listing: image objects, and the number of other objects by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from skinml.schemas import LISTING
from skinml.storage.suffixes import DICOM, OTHER_IMAGE_SUFFIXES

NO_SUFFIX = "no suffix"
"""In a folder: files without a suffix that start like an image. In a bucket: all objects without a suffix."""

UNCHECKED = "no suffix, not looked at"
"""Files without a suffix whose first bytes were not read because there were too many of them."""

HIDDEN = "hidden"
OTHER = "other"
WORKSPACE = "in the workspace"
"""The run's own workspace. Counted in objects in a bucket, in whole trees in a folder."""

OTHER_WORKSPACE = "in another workspace"
"""Figures and reports of another workspace. Counted in objects in a bucket, in whole trees in a folder."""

_MADE_AT = r"\d{8}T\d{6}Z-[0-9a-f]{6}"
FIGURES = "skinml-figures"
"""The folder of the figures of `explore`, which stands anywhere with `--out`."""

OF_A_WORKSPACE = rf"(^|/)(models/[^/]+/{_MADE_AT}|reports/[a-z]+-{_MADE_AT}|{FIGURES})(/|$)"
"""Paths below which a workspace keeps images: the folders of model versions, of reports and of figures."""

LINK_OUT = "link out of the archive"
LINK_TO_LISTED = "link to a listed image"
LINK_TO_FOLDER = "link to a folder of the archive"
LINK_TO_HIDDEN_FOLDER = "link to a hidden folder"

UNREADABLE = "unreadable"
"""The etag of a folder that could not be listed. It becomes one row; the error of reading it says why."""

MISSING = "missing"
"""The etag of a file whose status cannot be read, such as a dangling link."""

Row = tuple[str, str, int, int]
"""A row of LISTING: uri, etag, size in bytes, time of last modification in µs."""


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
    """Build a piece of a listing from rows and counts."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, LISTING, strict=True)]
    return Listed(pa.RecordBatch.from_arrays(arrays, schema=LISTING), passed_over)


def suffix(name: str) -> str:
    """Return a name's suffix in lower case. Numbers do not count: a DICOM identifier is like 1.2.840.10008."""
    stem, dot, last = name.rpartition(".")
    return f".{last.lower()}" if stem and dot and last and not last.isdecimal() else ""


def kind_of(name: str) -> str:
    """Return the kind of a name that is not listed: a suffix of OTHER_IMAGE_SUFFIXES, NO_SUFFIX, or OTHER."""
    found = suffix(name)
    return found if found in OTHER_IMAGE_SUFFIXES else OTHER if found else NO_SUFFIX


def in_words(passed_over: Mapping[str, int]) -> str:
    """Return the counts in one line, the largest first: `3 .heic, 1 no suffix, 12 other`."""
    ordered = sorted(passed_over.items(), key=lambda item: (item[0] == OTHER, -item[1], item[0]))
    return ", ".join(f"{count} {kind}" for kind, count in ordered) or "nothing"


def warnings(passed_over: Mapping[str, int], remote: bool) -> list[str]:
    """Return one warning per kind that was passed over and may be a mistake: what, how many, what to do."""
    rename = "rename them to end in .jpg or another suffix that is listed"
    looked_at = f"without a suffix but with the first bytes of an image: {rename}"
    unread = f"without a suffix: if they are images, {rename}"
    words = {
        NO_SUFFIX: ("file", unread if remote else looked_at),
        OTHER_WORKSPACE: (
            "object" if remote else "folder",
            "of another skinml workspace: they hold figures and reports, not images of lesions",
        ),
        UNCHECKED: ("further file", unread),
        LINK_OUT: ("link", "out of the archive: copy the files into it, or score their folder as an archive"),
        LINK_TO_HIDDEN_FOLDER: ("link", "to hidden folders: score such a folder as an archive of its own"),
    }
    found = []
    formats = {
        kind: passed_over[kind] for kind in OTHER_IMAGE_SUFFIXES if kind != DICOM and passed_over.get(kind)
    }
    if formats:
        found.append(
            f"passed over {_several(sum(formats.values()), 'file')} in image formats that are not supported "
            f"({in_words(formats)}): convert them to JPEG, PNG or TIFF to use them"
        )
    if passed_over.get(DICOM):
        files = _several(passed_over[DICOM], f"{DICOM} file")
        install = "pip install 'skinml[dicom]' on this machine and its workers"
        found.append(f"passed over {files}: to use them, {install}")
    for kind, (noun, said) in words.items():
        if passed_over.get(kind):
            found.append(f"passed over {_several(passed_over[kind], noun)} {said}")
    return found


def _several(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
