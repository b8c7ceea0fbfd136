"""Where the files of the hostile corpus lie: names, links, pipes and folders that archives should not hold."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.content import DECODED, LARGE, NONE
from tests.hostile.make import picture, save

IGNORED = "ignored"
"""Right for what is not listed as an image."""

NO_METADATA = "no_metadata"
"""Right for what is an image whose image_id no line of a CSV can say: it is stripped of spaces."""

UNREADABLE = "read_error"

PLAIN_NAMES: dict[str, str] = dict.fromkeys(
    (
        "with space.jpg",
        "two  spaces.jpg",
        "UPPER.JPG",
        "MiXed.JpEg",
        "case.jpg",
        "CASE.jpg",
        "double.jpg.png",
        "archive.tar.gz.jpg",
        "a..jpg",
        "a...b..jpg",
        "dots.../in.../folders/x...jpg",
        "folder.jpg/inside.jpg",
        "per%cent.jpg",
        "%.jpg",
        "100%.jpg",
        "%zz.jpg",
        "%00.jpg",
        "%2e%2e%2fup.jpg",
        "%2Fetc%2Fpasswd.jpg",
        "%25.jpg",
        "hash#tag.jpg",
        "question?mark=1&b=2.jpg",
        "semi;colon.jpg",
        "comma,comma.jpg",
        "plus+equals=at@.jpg",
        "star*.jpg",
        "[brackets]{braces}(all).jpg",
        "pipe|less<more>.jpg",
        "colon:caret^tilde~.jpg",
        "quote'.jpg",
        'double"quote.jpg',
        "`touch pwned`.jpg",
        "$(touch pwned).jpg",
        "$HOME.jpg",
        "'; DROP TABLE samples; --.jpg",
        "-rf.jpg",
        "--help.jpg",
        "=1+1.jpg",
        "@import.jpg",
        "NA.jpg",
        "nan.jpg",
        "null.jpg",
        "None.jpg",
        "True.jpg",
        "1.jpg",
        "001.jpg",
        "1.0.jpg",
        "1e400.jpg",
        "-0.jpg",
        "2026-02-30.jpg",
        "CON.jpg",
        "läsion.jpg",
        "la\u0308sion.jpg",  # the same to the eye: a and a combining diaeresis
        "日本語.png",
        "עברית.jpg",
        "\u202egpj.exe.jpg",  # what follows is shown from right to left
        "zero\u200bwidth\ufeff.jpg",
        "👩🏽‍⚕️.jpg",
        "\U0010fffd.jpg",
        "z" + "a\u0300\u0301\u0302" * 30 + ".jpg",
        "x" * 251 + ".jpg",
        "ü" * 125 + ".jpg",
        "/".join(["deep"] * 100) + "/deep.jpg",
    ),
    DECODED,
) | {
    ".jpg": IGNORED,
    "..jpg": IGNORED,
    "...png": IGNORED,
    "..x/inside.jpg": IGNORED,
    ".hidden/inside.jpg": IGNORED,
    "jpg": IGNORED,
    "no suffix": IGNORED,
    "x.jpg.exe": IGNORED,
    "x.jpgx": IGNORED,
    " leading space.jpg": NO_METADATA,
    "trailing space .jpg": NO_METADATA,
    "trailing no-break space\u00a0.jpg": NO_METADATA,
    "\u3000.jpg": NO_METADATA,
}
"""Names that a folder and a bucket can hold, and what is right when a sound image lies there."""

CONTROL_NAMES: dict[str, str] = dict.fromkeys(
    (
        "new\nline.jpg",
        "tab\there.jpg",
        "carriage\rreturn.jpg",
        "escape\x1b[31m.jpg",
        "one\x01.jpg",
        "del\x7f.jpg",
    ),
    DECODED,
)
"""The same with control characters, which some object stores cannot list."""

ODD_BYTES: dict[str, str] = dict.fromkeys(
    map(
        os.fsdecode,
        (
            b"latin \xe4.JPG",
            b"\xff\xfe utf-16.jpg",
            b"half a surrogate \xed\xa0\x80.jpg",
            b"overlong \xc0\xaf.jpg",
            b"back\\slash.jpg",
            b"x\\..\\..\\up.jpg",
            b"folder \xff/inside that folder.jpg",
        ),
    ),
    DECODED,
)
"""Names that only a folder can hold: no UTF-8, or with a backslash, which some stores take for a slash."""

TWICE = (
    ("twice.jpg", "twice.png"),
    ("one/same name.jpg", "two/same name.jpg"),
    (os.fsdecode(b"\xf0.jpg"), os.fsdecode(b"\xf1.jpg")),  # both are shown as U+FFFD
)
"""Names of the same image_id: the first that is listed is the image, the other one a duplicate."""


@dataclass(frozen=True)
class Place:
    """Something in an archive's folder that is no plain file: how it is made, and what is right."""

    name: str
    make: Callable[[Path], object]
    right: str


def places(archive: Path, outside: Path) -> list[Place]:
    """Links, pipes, folders, permissions and sizes. Links point to `outside`, which is made if need be."""
    image = save(picture(seed=77), "JPEG")
    outside.mkdir(exist_ok=True)
    (outside / "elsewhere.jpg").write_bytes(image)
    (archive / "to link to.jpg").write_bytes(image)

    def sparse(path: Path, length: int, start: bytes = b"") -> None:
        path.write_bytes(start)
        os.truncate(path, length)

    def unreadable(path: Path) -> None:
        path.write_bytes(image)
        path.chmod(0)

    mebibyte = 2**20
    may_read_all = os.geteuid() == 0
    return [
        Place("to link to.jpg", lambda path: None, DECODED),
        Place("link.jpg", lambda path: path.symlink_to("to link to.jpg"), IGNORED),
        Place("link out.jpg", lambda path: path.symlink_to(outside / "elsewhere.jpg"), IGNORED),
        Place("link of a link.jpg", lambda path: path.symlink_to("link.jpg"), IGNORED),
        Place("link to hidden.jpg", lambda path: path.symlink_to("../names/.hidden/inside.jpg"), DECODED),
        Place("link to secrets.jpg", lambda path: path.symlink_to("/etc/shadow"), IGNORED),
        Place("hard link.jpg", lambda path: path.hardlink_to(outside / "elsewhere.jpg"), DECODED),
        Place("link to nothing.jpg", lambda path: path.symlink_to("nothing"), UNREADABLE),
        Place("link to itself.jpg", lambda path: path.symlink_to("link to itself.jpg"), UNREADABLE),
        Place("link to a folder.jpg", lambda path: path.symlink_to(outside), IGNORED),
        Place("link to the archive", lambda path: path.symlink_to(archive), IGNORED),
        Place("link to zeros.jpg", lambda path: path.symlink_to("/dev/zero"), IGNORED),
        Place("pipe.jpg", os.mkfifo, IGNORED),
        Place("not to be read.jpg", unreadable, DECODED if may_read_all else UNREADABLE),
        Place("sparse, 65 MiB.jpg", lambda path: sparse(path, 65 * mebibyte), LARGE),
        Place("sparse, 64 GiB.tif", lambda path: sparse(path, 2**36, b"II*\0"), LARGE),
        Place("an image and 60 MiB of zeros.jpg", lambda path: sparse(path, 60 * mebibyte, image), DECODED),
        Place("60 MiB of zeros.bmp", lambda path: sparse(path, 60 * mebibyte), NONE),
    ]


def longest_path(archive: Path) -> Path:
    """A file whose absolute path is as long as the system allows, 4,095 bytes, and whose stem is its own."""
    name = "at the end of a long path.jpg"
    room = 4_095 - len(os.fsencode(archive)) - len(f"/{name}")
    folders = ["f" * 200] * (room // 201)
    rest = room % 201
    return archive.joinpath(*folders, *(["g" * (rest - 1)] if rest > 1 else []), name)


def too_long_path(archive: Path) -> Path:
    """A file whose folder can be listed and whose own absolute path is longer than the system allows."""
    longest = longest_path(archive)
    longest.parent.mkdir(parents=True, exist_ok=True)
    name = "behind the end of a long path.jpg"
    folder = os.open(longest.parent, os.O_RDONLY)
    os.close(os.open(name, os.O_CREAT, dir_fd=folder))
    os.close(folder)
    return longest.with_name(name)


def metadata_csv(image_ids: list[str]) -> bytes:
    """A row for every image_id, each its own lesion."""
    text = io.StringIO(newline="")
    table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow(("lesion_id", "image_id", "dx"))
    table.writerows((f"lesion {number}", image_id, "nv") for number, image_id in enumerate(image_ids))
    return text.getvalue().encode()
