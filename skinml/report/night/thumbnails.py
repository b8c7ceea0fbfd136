"""Thumbnails of scored images, read again: WebP files of one image, and sprites of a hundred.

An image is decoded only if its bytes are those that were scored, so a worker has decoded them before. A large
night is read on Dask workers, which isolate the decoder from this process; a small one in this process, because
workers take two seconds to start.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pyarrow as pa
from PIL import Image

from skinml.errors import ImageRejected, SkinmlError
from skinml.images.decode import decode
from skinml.records.etags import plain_etag
from skinml.storage.objects import MAX_OBJECT_BYTES, read_many, write_bytes

logger = logging.getLogger("skinml.report")

WIDTH, HEIGHT = 96, 72
"""The box in px that a thumbnail fits into: the shape of HAM10000's images."""

QUALITY, METHOD = 70, 2
"""Of WebP: 620 bytes an image and 0.3 ms; method 4 is 7 % smaller and takes twice as long."""

ACROSS, DOWN = 10, 10
"""Thumbnails in a sprite: 50 kB."""

IN_SPRITE = ACROSS * DOWN

IN_PAGE = 2_000
"""Thumbnails in the page itself, 1.7 MB; those of later rows are in sprites, loaded when they are shown."""

GROUND = (128, 128, 128)
"""Around an image that has another shape than the box."""

HERE = 1_000
"""Images that are read in this process: 1.5 s. The workers of a cluster take longer to start."""

NEEDED = ["uri", "etag", "size_bytes", "sha256"]


@dataclass(frozen=True, eq=False)
class Job:
    """Images whose thumbnails one worker makes.

    Attributes:
        first: the position of the first one on the page.
        images: NEEDED.
        sprite: the URL to write a sprite to; None returns each thumbnail.
    """

    first: int
    images: pa.Table
    sprite: str | None


@dataclass(frozen=True, eq=False)
class Done:
    """What became of a job: thumbnails (none if they are in a sprite), and positions of those that failed."""

    first: int
    thumbnails: list[bytes | None]
    gone: list[int]


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """The thumbnails of a page.

    Attributes:
        in_page: of the first rows, base64 of WebP; None if there is none.
        gone: positions of rows that have no thumbnail, in order.
        why: why there are none at all; "" if it was tried.
    """

    in_page: list[str | None]
    gone: list[int]
    why: str = ""

    def uri(self, position: int) -> str | None:
        """The data: URI of one of the first rows."""
        data = self.in_page[position] if position < len(self.in_page) else None
        return None if data is None else f"data:image/webp;base64,{data}"


OnWorkers = Callable[[Sequence[Job]], Iterable[Done]]
"""Runs `run_job` on workers; results in any order."""


def make_thumbnails(rows: pa.Table, folder: str, on_workers: OnWorkers) -> Thumbnails:
    """Make the thumbnails of a worklist. If the workers fail, the page has none, and says why.

    Args:
        rows: of `scores`, in the order of the page.
        folder: URL of the page's folder, in which sprites are written.
        on_workers: called if there are more than HERE rows.
    """
    jobs = list(jobs_of(rows.select(NEEDED), folder))
    try:
        results = map(run_job, jobs) if len(rows) <= HERE else on_workers(jobs)
        done = sorted(results, key=lambda one: one.first)
    except SkinmlError as error:
        logger.warning("the page has no thumbnails: %s", error)
        return Thumbnails([None] * min(len(rows), IN_PAGE), list(range(len(rows))), str(error))
    made = [one for part in done for one in part.thumbnails]
    texts = [None if one is None else base64.b64encode(one).decode("ascii") for one in made]
    return Thumbnails(texts, [place for part in done for place in part.gone])


def jobs_of(rows: pa.Table, folder: str) -> Iterator[Job]:
    """A job for each hundred rows: the first IN_PAGE rows for the page itself, later ones for a sprite each."""
    for first in range(0, len(rows), IN_SPRITE):
        sprite = None if first < IN_PAGE else f"{folder}/{sprite_name(first)}"
        yield Job(first, rows.slice(first, IN_SPRITE).combine_chunks(), sprite)


def sprite_name(position: int) -> str:
    """The file of the sprite that holds a row, relative to the page.

    Example:
        >>> sprite_name(2134)
        'sprites/0021.webp'
    """
    return f"sprites/{position // IN_SPRITE:04d}.webp"


def run_job(job: Job) -> Done:
    """Make the thumbnails of a job, in a worker or here."""
    pictures = [picture_of(row, read) for row, read in _read(job.images)]
    gone = [job.first + place for place, picture in enumerate(pictures) if picture is None]
    if job.sprite is None:
        return Done(job.first, [None if one is None else as_webp(one) for one in pictures], gone)
    if len(gone) < len(pictures):
        write_bytes(job.sprite, as_webp(as_sprite(pictures)))
    return Done(job.first, [], gone)


def _read(images: pa.Table) -> Iterator[tuple[dict[str, Any], Any]]:
    rows = images.to_pylist()
    small = [row for row in rows if (row["size_bytes"] or 0) <= MAX_OBJECT_BYTES]
    reads = read_many([row["uri"] for row in small], [row["size_bytes"] or 0 for row in small])
    for row in rows:
        yield row, next(reads) if (row["size_bytes"] or 0) <= MAX_OBJECT_BYTES else None


def picture_of(row: dict[str, Any], read: Any) -> Image.Image | None:
    """The thumbnail of a row; None if the image cannot be read, or has other bytes than when it was scored."""
    if read is None or read.data is None:
        return None
    if row["sha256"] is None:  # of an older skinml
        same = read.etag == plain_etag(row["etag"])
    else:
        same = sha256(read.data).hexdigest() == row["sha256"]
    if not same:
        return None
    try:
        decoded = decode(read.data, WIDTH, colour="srgb")
    except ImageRejected:  # such as more memory than this process has
        return None
    scale = min(WIDTH / decoded.width, HEIGHT / decoded.height)
    size = (max(1, round(decoded.width * scale)), max(1, round(decoded.height * scale)))
    return Image.fromarray(decoded.pixels).resize(size, Image.Resampling.BICUBIC)


def as_sprite(pictures: Sequence[Image.Image | None]) -> Image.Image:
    """At most a hundred thumbnails in one picture, each in the middle of its box, ten to a line."""
    lines = -(-len(pictures) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * WIDTH, lines * HEIGHT), GROUND)
    for place, picture in enumerate(pictures):
        if picture is not None:
            down, across = divmod(place, ACROSS)
            free = (WIDTH - picture.width, HEIGHT - picture.height)
            sheet.paste(picture, (across * WIDTH + free[0] // 2, down * HEIGHT + free[1] // 2))
    return sheet


def as_webp(picture: Image.Image) -> bytes:
    """A WebP file without metadata."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=METHOD)
    return buffer.getvalue()


def picture_again(row: dict[str, Any]) -> bytes | None:
    """The thumbnail of one row, WebP; None as in `picture_of`."""
    [(_, read)] = _read(pa.Table.from_pylist([{name: row[name] for name in NEEDED}]))
    picture = picture_of(row, read)
    return None if picture is None else as_webp(picture)


def data_uri(webp: bytes | None) -> str | None:
    """A WebP file as a data: URI."""
    return None if webp is None else f"data:image/webp;base64,{base64.b64encode(webp).decode('ascii')}"
